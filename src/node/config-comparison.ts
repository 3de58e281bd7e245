import { createHash } from 'node:crypto';
import path from 'node:path';

import * as z from 'zod';

import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { EventBase } from '../events.ts';
import type { HeartbeatMonitor } from '../heartbeat/heartbeat-monitor.ts';
import type { Json } from '../heartbeat/types.ts';
import type { LoadedConfig } from './config.ts';
import type { StatusWarning } from './control-protocol.ts';

const requestDeadlineMs = 5_000;
const kind = 'configuration';
const digestLength = 8;
const longestName = 64;
const maxSections = 32;
const unanswered: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['HM_PEER_UNREACHABLE', 'HM_REQUEST_TIMEOUT', 'HM_BUSY']);

const digestSchema = z.strictObject({ asItIs: z.string().max(longestName), fromFolder: z.string().max(longestName) });
const digestsSchema = z.record(z.string().max(longestName), digestSchema).refine((digests) => Object.keys(digests).length <= maxSections);
const ofKind = z.object({ kind: z.literal(kind) });
const requestSchema = z.strictObject({ kind: z.literal(kind), digests: digestsSchema });
const answerSchema = z.object({ digests: digestsSchema });

/** The digests of one section of a configuration, defaults filled in: with paths that are absolute, and as they are from the folder of the file. */
export interface SectionDigests {
  readonly asItIs: string;
  readonly fromFolder: string;
}

/** Those of all sections, by name. */
export type ConfigDigests = Readonly<Record<string, SectionDigests>>;

/** What is told: `config:agrees` ends a `config:differs`. */
export type ConfigEventName = 'config:differs' | 'config:agrees';

/** What a {@link ConfigComparison} needs. */
export interface ConfigComparisonOptions {
  readonly digests: ConfigDigests;
  /** The other node's name, for what people read. */
  readonly peer: string;
  readonly monitor: Pick<HeartbeatMonitor, 'events' | 'request'>;
  readonly tell: (event: ConfigEventName, news: Omit<EventBase, 'atMs'>) => void;
}

/** Digests the sections of a configuration. */
export function configDigests({ config, folder }: Pick<LoadedConfig, 'config' | 'folder'>): ConfigDigests {
  const inFolder = folder + path.sep;
  const relative = (text: string): string => (text.startsWith(inFolder) ? text.slice(inFolder.length) : text);
  return Object.fromEntries(
    Object.entries(config).map(([section, value]) => [
      section,
      { asItIs: digestOf(value, (text) => text), fromFolder: digestOf(value, relative) },
    ]),
  );
}

/** The sections in which two configurations differ. Two files that say the same may be in different folders, with paths that are absolute or relative. */
export function differingSections(mine: ConfigDigests, theirs: ConfigDigests): readonly string[] {
  const same = (section: string): boolean => {
    const [one, other] = [mine[section], theirs[section]];
    return one?.asItIs === other?.asItIs || one?.fromFolder === other?.fromFolder;
  };
  return [...new Set([...Object.keys(mine), ...Object.keys(theirs)])].filter((section) => !same(section));
}

/**
 * Has both nodes find out whether their configurations say the same, each time that the peer comes up. Deadline and lease of the two nodes fit together only as those of one
 * file (rule `timing.lease`). It is told and changes nothing: a file is changed on one node first.
 */
export class ConfigComparison {
  readonly #options: ConfigComparisonOptions;
  readonly #ended = new AbortController();
  /** The peer is to be asked when it answers. */
  #due = true;
  #asking = false;
  /** Sections in which the peer's last known configuration differs. */
  #differing: readonly string[] = [];

  constructor(options: ConfigComparisonOptions) {
    this.#options = options;
    options.monitor.events.on('peer:changed', this.#peerChanged);
    options.monitor.events.on('peer:answered', this.#peerAnswered);
  }

  /** What `status` warns of. */
  get warnings(): readonly StatusWarning[] {
    const { peer } = this.#options;
    if (this.#differing.length === 0) return [];
    const remedy =
      'Use one file on both nodes, and start the node anew that ran with another; `hotmirror check` tells what is wrong in a file.';
    const warning = { because: differsText(peer, this.#differing), remedy };
    return [this.#differing.includes('monitor') ? { rule: 'timing.lease', ...warning } : warning];
  }

  /** Answers a request of the peer; null where it is none of these. Throws `HM_PROTOCOL`. */
  answer(body: Json): Json | null {
    if (!ofKind.safeParse(body).success) return null;
    const parsed = requestSchema.safeParse(body);
    if (!parsed.success)
      throw new HotMirrorError('HM_PROTOCOL', `the peer sent a configuration that makes no sense: ${z.prettifyError(parsed.error)}`);
    this.#judge(parsed.data.digests);
    return { digests: toJson(this.#options.digests) };
  }

  /** Asks no more. */
  close(): void {
    this.#options.monitor.events.off('peer:changed', this.#peerChanged);
    this.#options.monitor.events.off('peer:answered', this.#peerAnswered);
    this.#ended.abort();
  }

  readonly #peerChanged = ({ to }: { readonly to: string }): void => {
    if (to === 'up') this.#due = true;
  };

  readonly #peerAnswered = (): void => {
    if (this.#due && !this.#asking) void this.#ask();
  };

  /** Who does not answer in time is asked again; a version that compares nothing, when it has been away. */
  async #ask(): Promise<void> {
    const { digests, monitor } = this.#options;
    this.#due = false;
    this.#asking = true;
    try {
      const limits = { deadlineMs: requestDeadlineMs, signal: this.#ended.signal };
      const answer = answerSchema.safeParse(await monitor.request({ kind, digests: toJson(digests) }, limits));
      if (answer.success && !this.#ended.signal.aborted) this.#judge(answer.data.digests);
    } catch (error) {
      this.#due ||= error instanceof HotMirrorError && unanswered.has(error.code);
    } finally {
      this.#asking = false;
    }
  }

  #judge(theirs: ConfigDigests): void {
    const { digests, peer, tell } = this.#options;
    const differing = differingSections(digests, theirs);
    if (differing.join() === this.#differing.join()) return;
    this.#differing = differing;
    const [warning] = this.warnings;
    if (!warning) tell('config:agrees', { class: 0, text: `${peer} runs with the same configuration again` });
    else tell('config:differs', { class: 1, text: warning.because, ...(warning.rule === undefined ? {} : { rule: warning.rule }) });
  }
}

function toJson(digests: ConfigDigests): Json {
  return Object.fromEntries(Object.entries(digests).map(([section, both]) => [section, { ...both }]));
}

function differsText(peer: string, sections: readonly string[]): string {
  return `${peer} runs with another configuration: it differs in ${sections.join(', ')}`;
}

function digestOf(value: unknown, shown: (text: string) => string): string {
  const text = JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each === 'string') return shown(each);
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each;
    return Object.fromEntries(Object.entries(each).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
  return createHash('sha256').update(text).digest('hex').slice(0, digestLength);
}
