import { createHash } from 'node:crypto';

import * as z from 'zod';

import type { Clock } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { EventBase } from '../events.ts';
import type { HeartbeatMonitor } from '../heartbeat/heartbeat-monitor.ts';
import type { Json, PeerState } from '../heartbeat/types.ts';
import type { LoadedConfig } from './config.ts';
import type { StatusWarning } from './control-protocol.ts';
import { formatMs } from './timing.ts';

const requestDeadlineMs = 5_000;
/** How long a peer that did not answer is left alone, the first time; each time after, twice as long. */
const firstPauseMs = 5_000;
const longestPauseMs = 60_000;
const kind = 'configuration';
const digestLength = 8;
const maxSections = 32;
const unanswered: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['HM_PEER_UNREACHABLE', 'HM_REQUEST_TIMEOUT', 'HM_BUSY', 'HM_ABORTED']);

const ms = z.number().positive();
const sectionName = z.string().regex(/^[a-z$]\w{0,31}$/iu);
const portraitSchema = z.object({
  digests: z.record(sectionName, z.string().max(2 * digestLength)).refine((digests) => Object.keys(digests).length <= maxSections),
  deadlineMs: ms,
  leaseMs: ms,
});
const ofKind = z.object({ kind: z.literal(kind) });

/** What a node tells of its configuration. */
export interface ConfigPortrait {
  /** A digest of each section, as it is written in the file. */
  readonly digests: Readonly<Record<string, string>>;
  readonly deadlineMs: number;
  readonly leaseMs: number;
}

/** How the configurations of the two nodes differ. */
export interface ConfigDifference {
  /** Sections that are not written alike; empty: none. */
  readonly sections: readonly string[];
  /** Why their times do not fit together (rule `timing.lease`); null: they do. */
  readonly unsafe: string | null;
}

/** What is told. A node that starts with the same configuration as its peer tells nothing; `config:agrees` takes back what it told before. */
export type ConfigEventName = 'config:differs' | 'config:agrees';

/** What a {@link ConfigComparison} needs. */
export interface ConfigComparisonOptions {
  readonly mine: ConfigPortrait;
  /** The other node's name, for what people read. */
  readonly peer: string;
  readonly monitor: Pick<HeartbeatMonitor, 'events' | 'request'>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly tell: (event: ConfigEventName, news: Omit<EventBase, 'atMs'>) => void;
}

/** What this node tells of its configuration. */
export function configPortrait({ config, written }: Pick<LoadedConfig, 'config' | 'written'>): ConfigPortrait {
  const { deadlineMs, leaseMs } = config.monitor;
  const sections = Object.entries(written).filter(([section]) => section !== '$schema');
  return { digests: Object.fromEntries(sections.map(([section, value]) => [section, digestOf(value)])), deadlineMs, leaseMs };
}

/** Compares what both nodes tell. Pure. */
export function compareConfigs(mine: ConfigPortrait, theirs: ConfigPortrait, peer: string): ConfigDifference {
  const names = new Set([...Object.keys(mine.digests), ...Object.keys(theirs.digests)]);
  const sections = [...names].filter((section) => mine.digests[section] !== theirs.digests[section]);
  const early = (deadlineMs: number, leaseMs: number): string =>
    `it may take over after ${formatMs(deadlineMs)}, while the other may go on completing for ${formatMs(leaseMs)}`;
  if (theirs.deadlineMs <= mine.leaseMs) return { sections, unsafe: `${peer}: ${early(theirs.deadlineMs, mine.leaseMs)}` };
  if (mine.deadlineMs <= theirs.leaseMs) return { sections, unsafe: `this node: ${early(mine.deadlineMs, theirs.leaseMs)}` };
  return { sections, unsafe: null };
}

const none: ConfigDifference = { sections: [], unsafe: null };

/**
 * Has both nodes find out whether they run with the same configuration, each time that the peer comes up. What differs is told and changes nothing: a file is changed on one
 * node first.
 */
export class ConfigComparison {
  readonly #options: ConfigComparisonOptions;
  readonly #ended = new AbortController();
  /** The peer is to be asked when it answers next. */
  #due = true;
  #asking = false;
  #pauseMs = firstPauseMs;
  #notBeforeMs = -Infinity;
  #there = false;
  /** As it was told last. */
  #difference = none;

  constructor(options: ConfigComparisonOptions) {
    this.#options = options;
    options.monitor.events.on('peer:changed', this.#peerChanged);
    options.monitor.events.on('peer:answered', this.#peerAnswered);
  }

  /** What `status` warns of while the peer is there. */
  get warnings(): readonly StatusWarning[] {
    return this.#there && isOne(this.#difference) ? [warningOf(this.#options.peer, this.#difference)] : [];
  }

  /** Answers a request of the peer; null where it is none of these. Throws `HM_PROTOCOL`, and `HM_CLOSED`. */
  answer(body: Json): Json | null {
    if (!ofKind.safeParse(body).success) return null;
    if (this.#ended.signal.aborted) throw new HotMirrorError('HM_CLOSED', 'the node is closing');
    const parsed = portraitSchema.safeParse(body);
    if (!parsed.success)
      throw new HotMirrorError('HM_PROTOCOL', `the peer sent a configuration that makes no sense: ${z.prettifyError(parsed.error)}`);
    this.#judge(parsed.data);
    return toJson(this.#options.mine);
  }

  /** Asks and answers no more. */
  close(): void {
    this.#options.monitor.events.off('peer:changed', this.#peerChanged);
    this.#options.monitor.events.off('peer:answered', this.#peerAnswered);
    this.#ended.abort();
  }

  readonly #peerChanged = ({ to }: { readonly to: PeerState }): void => {
    this.#there = to === 'up' || to === 'suspect';
    if (to !== 'up') return;
    this.#due = true;
    this.#pauseMs = firstPauseMs;
    this.#notBeforeMs = -Infinity;
  };

  readonly #peerAnswered = (): void => {
    if (this.#due && !this.#asking && this.#options.clock.nowMs() >= this.#notBeforeMs) void this.#ask();
  };

  async #ask(): Promise<void> {
    const { mine, monitor } = this.#options;
    this.#asking = true;
    try {
      const limits = { deadlineMs: requestDeadlineMs, signal: this.#ended.signal };
      const answer = portraitSchema.safeParse(await monitor.request({ kind, ...toJson(mine) }, limits));
      if (this.#ended.signal.aborted) return;
      if (answer.success) this.#judge(answer.data);
      else this.#isSilent();
    } catch (error) {
      if (error instanceof HotMirrorError && unanswered.has(error.code)) this.#askLater();
      else this.#isSilent();
    } finally {
      this.#asking = false;
    }
  }

  #askLater(): void {
    this.#notBeforeMs = this.#options.clock.nowMs() + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, longestPauseMs);
  }

  /** The peer is of a version that compares nothing: how it runs is not known. */
  #isSilent(): void {
    this.#due = false;
    this.#difference = none;
  }

  #judge(theirs: ConfigPortrait): void {
    const { mine, peer, tell } = this.#options;
    this.#due = false;
    this.#there = true;
    const difference = compareConfigs(mine, theirs, peer);
    if (JSON.stringify(difference) === JSON.stringify(this.#difference)) return;
    this.#difference = difference;
    const { because, rule } = warningOf(peer, difference);
    if (!isOne(difference)) tell('config:agrees', { class: 0, text: `${peer} runs with the same configuration` });
    else tell('config:differs', { class: 1, text: because, ...(rule === undefined ? {} : { rule }), evidence: { ...difference } });
  }
}

function isOne({ sections, unsafe }: ConfigDifference): boolean {
  return sections.length > 0 || unsafe !== null;
}

function warningOf(peer: string, { sections, unsafe }: ConfigDifference): StatusWarning {
  const because = `${peer} runs with another configuration${sections.length === 0 ? '' : `, which differs in ${sections.join(', ')}`}`;
  const remedy = 'Give both nodes the same file, and start the node anew that ran with another.';
  return unsafe === null ? { because, remedy } : { rule: 'timing.lease', because: `${because}: ${unsafe}`, remedy };
}

function toJson({ digests, deadlineMs, leaseMs }: ConfigPortrait): { readonly [key: string]: Json } {
  return { digests: { ...digests }, deadlineMs, leaseMs };
}

/** Of what is written: the order of keys says nothing. */
function digestOf(value: unknown): string {
  const text = JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each;
    return Object.fromEntries(Object.entries(each).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
  return createHash('sha256').update(text).digest('hex').slice(0, digestLength);
}
