import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';

import { HotMirrorError } from '../errors.ts';
import type { NetDiskAddress } from '../net-disk/net-disk-address.ts';
import { parseNetDiskUri } from '../net-disk/net-disk-address.ts';
import type { DetectorKind } from '../heartbeat/detector.ts';
import type { DigestName } from '../mirror/digests.ts';
import type { MirrorProtocol } from '../mirror/options.ts';
import type { StepCommand } from '../platform/command.ts';
import type { PlatformStep } from '../platform/platform-actions.ts';
import { bothAddresses, crossFieldProblems, linkAddresses, uriAndTls } from './config-rules.ts';
import type { ElementConfig, FileAddress, FileConfig, FileExport, Problem, TlsFiles } from './config-schema.ts';
import { fileJsonSchema, parseFile } from './config-schema.ts';
import type { HealthProbeConfig } from './health-schema.ts';
import { isNetDiskUri } from './link-address.ts';
import type { LinkAddress } from './link-address.ts';
import { linkScheme } from './link-schemes.ts';

export type { ElementConfig, TlsFiles } from './config-schema.ts';
export type { HealthProbeConfig } from './health-schema.ts';
export type { LinkAddress, LinkTlsFiles } from './link-address.ts';

/** A pair as configured: defaults filled in, paths absolute. */
export interface PairConfig {
  readonly pair: string;
  /** Absent only where every address is loopback. */
  readonly auth?: { readonly keyFile: string };
  /** Exactly two, by name. */
  readonly nodes: Readonly<Record<string, NodeConfig>>;
  readonly mirrors: readonly MirrorConfig[];
  readonly monitor: MonitorConfig;
  readonly failover: FailoverConfig;
}

/** One of the two nodes. */
export interface NodeConfig {
  /** The initial role; afterwards the pair record decides. */
  readonly home: 'primary' | 'standby';
  readonly stateDir: string;
  readonly controlSocket: string;
}

/** One mirror; everything that differs between the nodes is keyed by their names. */
export interface MirrorConfig {
  readonly name: string;
  /** When a write completes while a node serves that was started with it (rule `write.both`). */
  readonly protocol: MirrorProtocol;
  /** What a write by `async` does that finds `windowBytes` on their way (rule `write.congested`). */
  readonly whenCongested: 'block' | 'pull-ahead';
  /** What a split brain waits for (rules `lineage.split`, `lineage.unchanged`). */
  readonly whenSplit: 'ask' | 'discard-unchanged';
  /** Size of the mirror, for `init`; absent: that of the home primary's device. */
  readonly sizeBytes?: number | undefined;
  readonly elements: Readonly<Record<string, ElementConfig>>;
  /** By node; a node without one has none. */
  readonly undoJournal: Readonly<Record<string, UndoJournalConfig>>;
  readonly dataLink: Readonly<Record<string, LinkAddress>>;
  /** Where each node exports the mirror while it serves. */
  readonly export: Readonly<Record<string, ExportConfig>>;
  /** How long the mirror's thread waits for the next message before it sleeps, in µs; 0: not at all. */
  readonly busyPollUs: number;
  readonly limits: MirrorLimitsConfig;
  readonly resync: ResyncConfig;
  readonly verify: VerifyConfig;
}

/** Where a mirror is handed to others. */
export interface ExportConfig {
  /** The NBD URI, as written. */
  readonly uri: string;
  readonly address: NetDiskAddress;
  /** By which clients ask for it. */
  readonly name: string;
  /** Null: it speaks none. */
  readonly tls: ExportTlsConfig | null;
}

/** How an export speaks TLS. */
export interface ExportTlsConfig {
  /** `required`: with everybody, as the scheme `nbds` says; `optional`: with those who wish. */
  readonly mode: 'optional' | 'required';
  readonly files: TlsFiles;
}

/** How and how often the elements are compared, as far as it is set. */
export interface VerifyConfig {
  /** How long after its last verify a mirror is verified again (rule `verify`); absent: only when an operator asks. */
  readonly everyHours?: number | undefined;
  /** Absent: SHA-256. */
  readonly digest?: DigestName | undefined;
}

/** How fast resyncs go, as far as it is set; the mirror's own defaults hold for the rest. */
export interface ResyncConfig {
  readonly minBytesPerSecond?: number;
  readonly maxBytesPerSecond?: number;
  readonly latencyTargetMs?: number;
}

/** Where a target keeps what a resync overwrites (rule `resync.undo`). */
export interface UndoJournalConfig {
  readonly file: string;
  readonly sizeBytes: number;
  readonly whenFull: 'give-up' | 'refuse';
}

/** Limits that may be set; the mirror's own defaults hold for the rest. */
export interface MirrorLimitsConfig {
  readonly windowBytes?: number;
  readonly resyncWindowBytes?: number;
  readonly ackDeadlineMs?: number;
  readonly activeRegions?: number;
}

/** How the nodes watch each other. */
export interface MonitorConfig {
  readonly intervalMs: number;
  readonly deadlineMs: number;
  readonly initialGraceMs: number;
  /** How long an answered probe lets the serving node go on completing (rule `serve.lease`). */
  readonly leaseMs: number;
  /** What decides how long silence is borne. */
  readonly detector: DetectorKind;
  /** The longest that silence is borne; that of `deadline` is `deadlineMs`. */
  readonly maxDeadlineMs: number;
  readonly links: readonly MonitorLinkConfig[];
  /** What each node looks at, besides the lag of its mirrors; null: at neither. */
  readonly health: readonly HealthProbeConfig[] | null;
}

/** One monitor link. */
export interface MonitorLinkConfig {
  readonly name: string;
  readonly addresses: Readonly<Record<string, LinkAddress>>;
}

/** When and how the service moves. */
export interface FailoverConfig {
  readonly control: 'auto' | 'manual';
  readonly whenAlone: 'continue' | 'freeze' | 'arbiter';
  readonly bootAlone: 'wait' | 'serve';
  readonly platform: PlatformConfig;
  readonly arbiter: { readonly kind: 'operator' } | null;
  /** Each try of a platform step. */
  readonly stepDeadlineMs: number;
  /** Tries after the first. */
  readonly stepRetries: number;
}

/** What the operating system does: nothing, or configured command lines. */
export type PlatformConfig =
  { readonly kind: 'none' } | { readonly kind: 'command'; readonly commands: Readonly<Partial<Record<PlatformStep, StepCommand>>> };

/** A configuration and where it came from. */
export interface LoadedConfig {
  readonly path: string;
  /** What relative paths were resolved against. */
  readonly folder: string;
  readonly config: PairConfig;
  /** What the file says, as it is written. */
  readonly written: Readonly<Record<string, unknown>>;
}

const largestFileBytes = 2 ** 20;
const leasePartOfDeadline = 0.75;
const gracePerDeadline = 2;
const learntPerDeadline = 3;

/**
 * Reads a configuration file. Relative paths count from the file's folder.
 * Rejects with `HM_CONFIG` that lists everything that is wrong, one `path: problem` a line.
 */
export async function loadConfig(file: string): Promise<LoadedConfig> {
  const absolute = path.resolve(file);
  const folder = path.dirname(absolute);
  const text = await readText(absolute);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    // Node quotes the file as it stands, over several lines.
    const because = (error as Error).message.replace(/\s+/gu, ' ');
    throw new HotMirrorError('HM_CONFIG', `${file} is not JSON: ${because}`, { cause: error });
  }
  return { path: absolute, folder, config: parseConfig(json, { folder }), written: json as Record<string, unknown> };
}

/** Checks what a configuration file holds and fills in the defaults. Throws `HM_CONFIG`, as {@link loadConfig}. */
export function parseConfig(json: unknown, { folder }: { readonly folder: string }): PairConfig {
  const { file, sections, problems } = parseFile(json);
  const all = [...problems, ...crossFieldProblems(sections)];
  if (!file || all.length > 0) throw configError(all);
  return resolveConfig(file, folder);
}

/** The JSON Schema of the configuration file, for editors. */
export function pairJsonSchema(): object {
  return { ...fileJsonSchema(), title: 'hotmirror pair configuration' };
}

/** The two nodes' names. */
export function homesOf(config: PairConfig): { readonly primary: string; readonly standby: string } {
  const [first, second] = Object.keys(config.nodes) as [string, string];
  return config.nodes[first]?.home === 'primary' ? { primary: first, standby: second } : { primary: second, standby: first };
}

/** The other node. Throws `HM_USAGE` where `node` is neither of the two. */
export function peerOf(config: PairConfig, node: string): string {
  const names = Object.keys(config.nodes);
  const peer = names.find((name) => name !== node);
  if (!names.includes(node) || peer === undefined)
    throw new HotMirrorError('HM_USAGE', `no node is called "${node}"; there are ${names.join(' and ')}`);
  return peer;
}

/** Whether nothing but silence decides who goes on when every link is cut (rule `takeover.unfenced`). */
export function isUnfenced({ failover }: PairConfig): boolean {
  const fence = failover.platform.kind === 'command' && failover.platform.commands.fence !== undefined;
  return failover.whenAlone === 'continue' && failover.arbiter === null && !fence;
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > largestFileBytes) throw new HotMirrorError('HM_CONFIG', `${file} is longer than ${String(largestFileBytes)} bytes`);
    return await readFile(file, 'utf8');
  } catch (error) {
    throw HotMirrorError.from(error, 'HM_CONFIG', `${file} cannot be read`);
  }
}

function configError(problems: readonly Problem[]): HotMirrorError {
  const message = problems.map(({ path: where, problem }) => `${where}: ${problem}`).join('\n');
  return new HotMirrorError('HM_CONFIG', message, { details: { problems } });
}

function exportOf(written: string | FileExport, absolute: (relative: string) => string): ExportConfig {
  const { uri, tls } = uriAndTls(written);
  const { address, name, tls: forced } = parseNetDiskUri(uri);
  return {
    ...{ uri, name, address: 'path' in address ? { path: absolute(address.path) } : address },
    tls: tls && { mode: forced ? 'required' : 'optional', files: filesOf(tls, absolute) },
  };
}

function filesOf<Files extends TlsFiles>(files: Files, absolute: (relative: string) => string): Files {
  return mapValues(files as Readonly<Record<string, string>>, absolute) as unknown as Files;
}

/** The URI of an element with the path of its socket from the folder of the configuration. */
function absoluteSocket(uri: string, absolute: (relative: string) => string): string {
  const url = new URL(uri);
  const socket = url.searchParams.get('socket');
  if (socket === null) return url.href;
  url.searchParams.set('socket', absolute(socket));
  // A slash needs no escape there, and is easier to read in messages; and what reads the URI may not know + for a space.
  url.search = url.searchParams.toString().replaceAll('%2F', '/').replaceAll('+', '%20');
  return url.href;
}

/** The URI of an export, with the path of its socket as it is from everywhere. */
export function uriFromAnywhere({ uri, address }: Pick<ExportConfig, 'uri' | 'address'>): string {
  return absoluteSocket(uri, (relative) => ('path' in address ? address.path : relative));
}

/** Both addresses of a link, with paths from the folder of the configuration. */
function linkOf(written: FileAddress, absolute: (relative: string) => string): LinkAddress {
  const { listen, advertise, tls } = bothAddresses(written);
  const here = { listen: linkScheme(listen).absolute(listen, absolute), advertise: linkScheme(advertise).absolute(advertise, absolute) };
  return tls ? { ...here, tls: filesOf(tls, absolute) } : here;
}

function resolveConfig(file: FileConfig, folder: string): PairConfig {
  const absolute = (relative: string): string => path.resolve(folder, relative);
  const { monitor, failover } = file;
  return {
    pair: file.pair,
    ...(file.auth ? { auth: { keyFile: absolute(file.auth.keyFile) } } : {}),
    nodes: mapValues(file.nodes, (node) => ({ ...node, stateDir: absolute(node.stateDir), controlSocket: absolute(node.controlSocket) })),
    mirrors: file.mirrors.map((mirror) => ({
      ...mirror,
      elements: mapValues(mirror.elements, ({ device, direct }) => ({
        direct,
        device: isNetDiskUri(device) ? absoluteSocket(device, absolute) : absolute(device),
      })),
      undoJournal: mapValues(mirror.undoJournal ?? {}, (journal) => ({ ...journal, file: absolute(journal.file) })),
      dataLink: mapValues(mirror.dataLink, (written) => linkOf(written, absolute)),
      export: mapValues(mirror.export ?? {}, (written) => exportOf(written, absolute)),
      limits: withoutUndefined(mirror.limits),
      resync: withoutUndefined(mirror.resync),
    })),
    monitor: {
      ...monitor,
      initialGraceMs: monitor.initialGraceMs ?? gracePerDeadline * monitor.deadlineMs,
      leaseMs: monitor.leaseMs ?? Math.floor(leasePartOfDeadline * monitor.deadlineMs),
      maxDeadlineMs: monitor.maxDeadlineMs ?? (monitor.detector === 'deadline' ? 1 : learntPerDeadline) * monitor.deadlineMs,
      health: monitor.health ?? null,
      links: monitor.links.map((link) => ({
        name: link.name,
        addresses: mapValues(linkAddresses(link), (written) => linkOf(written, absolute)),
      })),
    },
    failover: {
      ...failover,
      platform: failover.platform as PlatformConfig,
      arbiter: failover.arbiter ?? null,
      whenAlone: failover.whenAlone ?? (failover.arbiter ? 'arbiter' : 'continue'),
    },
  };
}

function mapValues<From, To>(keyed: Readonly<Record<string, From>>, map: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(keyed).map(([key, value]) => [key, map(value)]));
}

/** Only what was set. */
function withoutUndefined<Key extends string>(settings: Partial<Record<Key, number | undefined>>): Partial<Record<Key, number>> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as Partial<Record<Key, number>>;
}
