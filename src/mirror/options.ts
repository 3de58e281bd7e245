import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import type { BlockDevice } from '../device/block-device.ts';
import type { Transport } from '../transport/transport.ts';
import type { DigestName } from './digests.ts';
import type { ResyncRateLimits } from './resync-rate.ts';

/**
 * When a write completes (rule write.both): the local element holds it and, by `sync`, the target has applied it, by `memsync`, the target has received it, by
 * `async`, it is queued to the link.
 */
export type MirrorProtocol = 'sync' | 'memsync' | 'async';

/**
 * What a split brain waits for (rule lineage.split). `ask`: an operator names the survivor. `discard-unchanged`: a side that began no write and no flush
 * alone gives way by itself (rule lineage.unchanged).
 */
export type WhenSplit = 'ask' | 'discard-unchanged';

/**
 * What a write by `async` does that finds the queue to the target full, `windowBytes` of it (rule write.congested). `block`: it waits for room. `pull-ahead`:
 * the source goes on without the target, which is durably `outdated` before anything completes so; what it missed is copied when the queue is empty.
 */
export type WhenCongested = 'block' | 'pull-ahead';

/** Where a target keeps what a resync overwrites, so that it can be rolled back (rule resync.undo). */
export interface UndoJournal {
  /** Its size bounds it; a resync of n extents needs about n × 68 KiB. The mirror closes it. */
  readonly device: BlockDevice;
  /** Where it has no room for a resync. `give-up`: the resync goes on and cannot be rolled back. `refuse`: it does not begin. */
  readonly whenFull: 'give-up' | 'refuse';
}

/**
 * Opens the file that keeps what is overwritten of an element that gives way (rule lineage.resolve): an existing one as it is, else a new one of this
 * size, for its owner only. The mirror closes it.
 */
export type OpenSalvage = (file: string, sizeBytes: number) => Promise<{ readonly device: BlockDevice; readonly created: boolean }>;

/** Bounds and times of one mirror. */
export interface MirrorLimits {
  /** Application bytes sent and not yet acknowledged by the target; by `async` the most that a takeover may lose. Default 8 MiB. */
  readonly windowBytes: number;
  /** Resync bytes sent and not yet acknowledged. Default 8 MiB. */
  readonly resyncWindowBytes: number;
  /** Requests that wait inside; more complete with `HM_BUSY`. Default 65,536. */
  readonly queuedRequests: number;
  /** Entries of the activity log, 4 MiB of disk each. Default 256, at least 2 (one write may touch two), at most 1,024. */
  readonly activeRegions: number;
  /** Between two probes of the data link. Default 250. */
  readonly probeIntervalMs: number;
  /** Silence after which the data link is dropped. At least 2 × probeIntervalMs. Default 1,000. */
  readonly deadlineMs: number;
  /** How long an answered probe lets the source go on completing; less than the takeover deadline of the peer (rule serve.lease). Default 750. */
  readonly leaseMs: number;
  /**
   * How long a target may confirm nothing of what was sent before the connection is dropped with `HM_TARGET_STALLED`, and rule `alone` decides: above what
   * a flush of a busy disk may take. Default 30,000.
   */
  readonly ackDeadlineMs: number;
  /** Longest handshake. Default 5,000. */
  readonly handshakeDeadlineMs: number;
  /** Shortest wait before the peer is dialled again. Default 100. */
  readonly retryMinMs: number;
  /** Longest wait before the peer is dialled again. Default 2,000. */
  readonly retryMaxMs: number;
}

/** What a mirror is made of. */
export interface MirrorLinkOptions {
  /** The mirror's name, the same on both nodes. */
  readonly name: string;
  /** This node. */
  readonly node: string;
  /** The other node. */
  readonly peer: string;
  /** Of two connections the one that this side dialled stays: true on the home primary. */
  readonly preferOwnDial: boolean;
  /** This node's element. The mirror closes it. */
  readonly device: BlockDevice;
  /** Holds the element's metadata; at least `metadataBytes` large. The mirror closes it. */
  readonly metadata: BlockDevice;
  /** The data link. */
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** By which requests complete while this node serves (rule write.both). Default `sync`. */
  readonly protocol?: MirrorProtocol;
  /** Heeded while the protocol in force is `async`. Default `block`. */
  readonly whenCongested?: WhenCongested;
  readonly limits?: Partial<MirrorLimits>;
  /** Default `ask`. */
  readonly whenSplit?: WhenSplit;
  /** How fast resyncs go; `configureResync` changes it while they run. Default: `defaultResyncRate`. */
  readonly resync?: Partial<ResyncRateLimits>;
  /** By which elements are compared, where the peer knows it too; else by `sha256`, the default. */
  readonly digest?: DigestName;
  /** Default: none. */
  readonly undoJournal?: UndoJournal;
  /** Without it no order takes a salvage file. */
  readonly openSalvage?: OpenSalvage;
}

/** The defaults of {@link MirrorLimits}. */
export const defaultMirrorLimits: MirrorLimits = Object.freeze({
  windowBytes: 8_388_608,
  resyncWindowBytes: 8_388_608,
  queuedRequests: 65_536,
  activeRegions: 256,
  probeIntervalMs: 250,
  deadlineMs: 1_000,
  leaseMs: 750,
  ackDeadlineMs: 30_000,
  handshakeDeadlineMs: 5_000,
  retryMinMs: 100,
  retryMaxMs: 2_000,
});

const minActiveRegions = 2;
const maxActiveRegions = 1_024;

/** Fills in the defaults. Throws `RangeError` on a bound that makes no sense. */
export function mirrorLimits(options: Pick<MirrorLinkOptions, 'limits'>): MirrorLimits {
  const limits = { ...defaultMirrorLimits, ...options.limits };
  for (const [name, value] of Object.entries(limits)) {
    if (!(value > 0 && Number.isFinite(value))) throw new RangeError(`limits.${name} must be above 0`);
  }
  if (limits.deadlineMs < 2 * limits.probeIntervalMs) throw new RangeError('limits.deadlineMs must be at least 2 × probeIntervalMs');
  if (limits.activeRegions < minActiveRegions || limits.activeRegions > maxActiveRegions) {
    throw new RangeError(`limits.activeRegions must be ${String(minActiveRegions)} to ${String(maxActiveRegions)}`);
  }
  if (limits.retryMaxMs < limits.retryMinMs) throw new RangeError('limits.retryMaxMs must be at least retryMinMs');
  return limits;
}
