import * as z from 'zod';

import type { SerializedError } from '../errors.ts';
import { HotMirrorError } from '../errors.ts';
import type { ElementState, Json, MirrorView, PeerState, ResyncProgress } from '../failover/ports.ts';
import type { LinkQuality } from '../heartbeat/link-statistics.ts';
import type { ProbeReport } from '../health.ts';
import type { ProbeResult } from '../heartbeat/health.ts';
import type { MirrorCounters } from '../mirror/counters.ts';
import type { MirrorProtocol } from '../mirror/options.ts';
import { protocols } from '../mirror/protocol.ts';
import type { Rule } from '../rules.ts';
import { rules } from '../rules.ts';

export type { LinkQuality } from '../heartbeat/link-statistics.ts';
export type { HealthState, ProbeReport } from '../health.ts';
export type { MirrorCounters } from '../mirror/counters.ts';
export type { MirrorProtocol } from '../mirror/options.ts';
export { protocols } from '../mirror/protocol.ts';

/** Version of {@link NodeStatus} and {@link LoggedEvent}. */
export const schemaVersion = 1;

/** A rule that stands in the way, and what it saw. */
export interface Blocked {
  readonly rule: Rule;
  readonly because: string;
}

/** What an operator should know, though no rule refuses anything. */
export interface StatusWarning {
  /** Where one is about it. */
  readonly rule?: Rule;
  /** The mirror that it is about; absent: none alone. */
  readonly mirror?: string;
  /** One sentence for people. */
  readonly because: string;
  /** What leads out; absent: what the rule, or the sentence, says. */
  readonly remedy?: string;
}

/** What `status --json` prints: stable, see the command-line contract. */
export interface NodeStatus {
  readonly schema: typeof schemaVersion;
  readonly node: string;
  /** From the pair record. */
  readonly home: 'primary' | 'standby';
  readonly mode: 'normal' | 'fallback';
  readonly serving: boolean;
  readonly epoch: number;
  readonly control: 'auto' | 'manual';
  readonly monitor: {
    readonly state: 'grace' | 'normal' | 'paused';
    readonly peer: PeerState;
    readonly links: readonly LinkStatus[];
    /** What keeps it from verdicts, and for how much longer, null: until it is taken back; absent: nothing. */
    readonly pauses?: readonly { readonly because: string; readonly remainingMs: number | null }[];
    /** Only while they are not as the configuration says (rule `watch.live`). */
    readonly times?: { readonly intervalMs: number; readonly deadlineMs: number };
  };
  readonly mirrors: readonly MirrorStatus[];
  /** The rules that keep this node from doing what it would do now. */
  readonly blockedBy: readonly Blocked[];
  /** What an operator should know besides; absent: nothing. */
  readonly warnings?: readonly StatusWarning[];
  /** What the health probes of this node found last; absent: it has none. */
  readonly health?: readonly ProbeResult[];
  /** What those of the peer found, as its tokens say; absent: it has none, or does not answer. */
  readonly peerHealth?: readonly ProbeReport[];
}

/** One monitor link in {@link NodeStatus}. */
export interface LinkStatus {
  readonly name: string;
  readonly state: 'up' | 'late' | 'down';
  /** Age of the last sign of life; null before the first. */
  readonly lastSeenMs: number | null;
  /** Smoothed round trip; null before the first answer. */
  readonly rttMs: number | null;
  /** Why it is not up, as far as is known; absent: it is up, or nothing is known. */
  readonly lastError?: string;
  /** Round trips and losses; only where they were asked for (`--statistics`). */
  readonly quality?: LinkQuality;
}

/** One mirror in {@link NodeStatus}. */
export interface MirrorStatus {
  readonly name: string;
  readonly sizeBytes: number;
  readonly role: MirrorView['role'];
  readonly connection: MirrorView['connection'];
  readonly element: ElementState;
  readonly peerElement: ElementState;
  readonly dirtyBytes: number;
  readonly resync: ResyncProgress | null;
  /** Why resyncs stand still; absent: they do not. */
  readonly resyncPaused?: string;
  /** Bytes that a verify found different and that were neither copied nor waived (rule `takeover.verified`); absent: none. */
  readonly findingBytes?: number;
  /** By which requests complete (rule `write.both`), only while that is not what the configuration says. */
  readonly protocol?: MirrorProtocol;
  /** Only where it is verified by the calendar (`mirrors[].verify.everyHours`). */
  readonly verify?: VerifyStatus;
  /** The NBD URI; null while the node does not serve. */
  readonly export: string | null;
  /** Why the export could not be opened, or could not be if it had to; absent: nothing is known against it. */
  readonly exportFailed?: string;
  /** Why this node's element has failed; absent: it has not. */
  readonly elementFailed?: string;
  /** Only while the NBD server behind this node's element is away (`lost`: requests wait) or given up (`failed`: for good), and why. */
  readonly elementServer?: { readonly state: 'lost' | 'failed'; readonly because: string };
  /** Only where they were asked for (`--statistics`); null where the mirror's thread does not tell: it has died, or its disk keeps it. */
  readonly counters?: MirrorCounters | null;
}

/** Verifies of one mirror by the calendar; times are ISO 8601. */
export interface VerifyStatus {
  /** The last that finished on this node, also by an operator's word; null: none that the event log still holds. */
  readonly lastFinished: string | null;
  /** Null on a node that is not the mirror's source, which verifies nothing. */
  readonly nextDue: string | null;
  /** Why one that is due does not run; absent: none is, or it runs. */
  readonly waitsFor?: string;
}

/** One entry of the event log, as `events --json` prints it: stable, see the command-line contract. */
export interface LoggedEvent {
  readonly schema: typeof schemaVersion;
  /** Counts up by one an event, through restarts of the node. */
  readonly seq: number;
  /** Wall time, ISO 8601. */
  readonly time: string;
  readonly node: string;
  /** `noun:verb`. */
  readonly event: string;
  readonly class: 0 | 1 | 2 | 3;
  readonly mirror?: string;
  readonly rule?: Rule;
  readonly evidence?: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** What became of a wish. */
export interface WishResult {
  /** False where it had been fulfilled before. */
  readonly changed: boolean;
  /** One sentence for people. */
  readonly text: string;
}

/** What became of a change that both nodes must make: of the protocol, or of the watch. */
export interface ToldBothResult extends WishResult {
  /** False where the other node could not be told: it goes on as before. */
  readonly toldBoth: boolean;
}

/** What a verify came to. */
export interface VerifyResult extends WishResult {
  /** Bytes that differ and were not known to. */
  readonly differingBytes: number;
  readonly comparedBytes: number;
  /** Bytes that the disk of the mirror's source could not read. */
  readonly unreadableBytes: number;
  /** The first runs of extents that differ, 64 at most. */
  readonly extents: readonly { readonly first: number; readonly count: number }[];
  readonly repaired: boolean;
}

/** A move that an operator may force. */
export interface ForcibleWish {
  /** Accepts what may be lost. */
  readonly force: boolean;
  /** Rules that are lifted by name. */
  readonly overrides: readonly Rule[];
}

/** How a split brain is to end. */
export interface ResolveParams {
  readonly mirror: string;
  /** The node whose element survives. */
  readonly survivor: string;
  /** Where the other node saves what is overwritten on it; null: nowhere. */
  readonly salvage: string | null;
}

/** How far a running wish is. */
export interface WishProgress {
  readonly text: string;
  readonly mirror?: string;
  readonly resync?: ResyncProgress;
}

/** The steps that would run now, and the rules that would block them. */
export interface PlanView {
  readonly wish: 'fallback' | 'recover';
  /** Nothing would have to be done. */
  readonly fulfilled: boolean;
  readonly steps: readonly { readonly node: string; readonly step: string; readonly text: string }[];
  readonly blockedBy: readonly Blocked[];
  /** What forcing it may lose, in plain words; null where nothing can be lost. */
  readonly mayLose: string | null;
}

/** The commands that a node takes on its control socket. */
export interface ControlCommands {
  /** With `statistics`, each mirror has its counters too. */
  readonly status: {
    readonly params: { readonly statistics?: boolean | undefined };
    readonly progress: never;
    readonly result: NodeStatus;
  };
  /** Streams the log as progress; with `follow` it goes on until the client leaves. */
  readonly events: { readonly params: { readonly follow: boolean }; readonly progress: LoggedEvent; readonly result: null };
  readonly control: { readonly params: { readonly mode: 'auto' | 'manual' }; readonly progress: never; readonly result: WishResult };
  readonly fallback: { readonly params: ForcibleWish; readonly progress: WishProgress; readonly result: WishResult };
  readonly recover: { readonly params: ForcibleWish; readonly progress: WishProgress; readonly result: WishResult };
  readonly switchover: { readonly params: Record<string, never>; readonly progress: WishProgress; readonly result: WishResult };
  readonly adopt: { readonly params: Record<string, never>; readonly progress: WishProgress; readonly result: WishResult };
  readonly regenerate: {
    readonly params: { readonly mirror: string; readonly full: boolean };
    readonly progress: WishProgress;
    readonly result: WishResult;
  };
  /** `waive` accepts what was found before and compares nothing. */
  readonly verify: {
    readonly params: { readonly mirror: string; readonly wish: 'find' | 'repair' | 'waive' };
    readonly progress: WishProgress;
    readonly result: VerifyResult;
  };
  readonly element: {
    readonly params: { readonly mirror: string; readonly to: 'off' | 'on' };
    readonly progress: never;
    readonly result: WishResult;
  };
  /** Makes a mirror as large as both its devices are by now. */
  readonly grow: { readonly params: { readonly mirror: string }; readonly progress: WishProgress; readonly result: WishResult };
  /** Changes by which protocol requests complete, on both nodes, until each is restarted. */
  readonly protocol: {
    readonly params: { readonly mirror: string; readonly protocol: MirrorProtocol };
    readonly progress: WishProgress;
    readonly result: ToldBothResult;
  };
  /** Changes the times of the monitor on both nodes, until each is restarted; null: as it is. */
  readonly watch: {
    readonly params: { readonly intervalMs: number | null; readonly deadlineMs: number | null };
    readonly progress: never;
    readonly result: ToldBothResult;
  };
  /** No verdicts on both nodes for so long; null: verdicts again. */
  readonly maintenance: { readonly params: { readonly forMs: number | null }; readonly progress: never; readonly result: ToldBothResult };
  readonly resume: {
    readonly params: { readonly overrides: readonly Rule[] };
    readonly progress: WishProgress;
    readonly result: WishResult;
  };
  readonly resolve: { readonly params: ResolveParams; readonly progress: WishProgress; readonly result: WishResult };
  readonly plan: { readonly params: { readonly wish: 'fallback' | 'recover' }; readonly progress: never; readonly result: PlanView };
}

/** The name of a command. */
export type ControlCommand = keyof ControlCommands;

/** A request line from the client. */
export interface ControlRequest {
  readonly id: number;
  readonly command: ControlCommand;
  readonly params: Json;
}

/** A line from the node: the end of a request, or its progress. */
export type ControlReply =
  | { readonly id: number; readonly ok: true; readonly result: Json }
  | { readonly id: number; readonly ok: false; readonly error: SerializedError }
  | { readonly id: number; readonly progress: Json };

/** Longest line in either direction. */
export const maxLineBytes = 262_144;

/** A node as the control socket sees it: one method a command. Each rejects with `HotMirrorError`. */
export type ControlHandlers = {
  readonly [Name in ControlCommand]: (
    params: ControlCommands[Name]['params'],
    stream: ControlStream<ControlCommands[Name]['progress']>,
  ) => Promise<ControlCommands[Name]['result']>;
};

/** The way back to a client while its request runs. */
export interface ControlStream<Progress> {
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** Sends progress; resolves when the client has taken most of it. Does nothing after the client has gone. */
  readonly progress: (value: Progress) => Promise<void>;
}

const nothing = z.strictObject({});
const ruleName = z.custom<Rule>((value) => typeof value === 'string' && Object.hasOwn(rules, value));

const forcibleWish = z.strictObject({ force: z.boolean(), overrides: z.array(ruleName).max(Object.keys(rules).length) });

const paramSchemas = {
  status: z.strictObject({ statistics: z.boolean().optional() }),
  events: z.strictObject({ follow: z.boolean() }),
  control: z.strictObject({ mode: z.enum(['auto', 'manual']) }),
  fallback: forcibleWish,
  recover: forcibleWish,
  switchover: nothing,
  adopt: nothing,
  regenerate: z.strictObject({ mirror: z.string(), full: z.boolean() }),
  verify: z.strictObject({ mirror: z.string(), wish: z.enum(['find', 'repair', 'waive']) }),
  element: z.strictObject({ mirror: z.string(), to: z.enum(['off', 'on']) }),
  grow: z.strictObject({ mirror: z.string() }),
  protocol: z.strictObject({ mirror: z.string(), protocol: z.enum(protocols) }),
  watch: z.strictObject({ intervalMs: z.int().nullable(), deadlineMs: z.int().nullable() }),
  maintenance: z.strictObject({ forMs: z.int().nullable() }),
  resume: z.strictObject({ overrides: z.array(ruleName).max(Object.keys(rules).length) }),
  resolve: z.strictObject({ mirror: z.string().max(255), survivor: z.string().max(255), salvage: z.string().max(4_096).nullable() }),
  plan: z.strictObject({ wish: z.enum(['fallback', 'recover']) }),
} satisfies { readonly [Name in ControlCommand]: z.ZodType<ControlCommands[Name]['params']> };

const requestSchema = z.strictObject({
  id: z.int().nonnegative(),
  command: z.enum(Object.keys(paramSchemas) as [ControlCommand, ...ControlCommand[]]),
  params: z.unknown(),
});

/** Reads one request line. Throws `HM_PROTOCOL` for anything that is not a request of this version. */
export function parseRequest(line: string): ControlRequest {
  try {
    const request = requestSchema.parse(JSON.parse(line));
    // What was read from a line of JSON and kept is JSON.
    return { ...request, params: paramSchemas[request.command].parse(request.params) as Json };
  } catch (error) {
    throw new HotMirrorError('HM_PROTOCOL', 'the control socket got a line that is no request of this version', { cause: error });
  }
}

const replySchema = z.union([
  z.object({ id: z.int(), ok: z.literal(true), result: z.unknown() }),
  z.object({ id: z.int(), ok: z.literal(false), error: z.looseObject({ code: z.string(), message: z.string() }) }),
  z.object({ id: z.int(), progress: z.unknown() }),
]);

/** Reads one line from a node. Throws `HM_PROTOCOL`. */
export function parseReply(line: string): ControlReply {
  try {
    return replySchema.parse(JSON.parse(line)) as ControlReply;
  } catch (error) {
    throw new HotMirrorError('HM_PROTOCOL', 'what answers on the control socket speaks another protocol', { cause: error });
  }
}
