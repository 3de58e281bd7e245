import type { FailoverPolicy } from '../../failover/options.ts';
import type { MirrorProtocol, WhenCongested } from '../../mirror/options.ts';
import type { LinkConditions } from '../../transport/link-conditions.ts';
import type { NodeName } from './steps.ts';

/** How the nodes of a simulated pair watch each other, under the rules `timing` of real ones. */
export interface SimulationTimes {
  /** Between two tokens, in ms. Default a fifth of the deadline. */
  readonly intervalMs: number;
  /** Silence that counts, in ms; at least 2 intervals. Default 5,000. */
  readonly deadlineMs: number;
  /** How long evidence of ownership holds, in ms; below the deadline. Default three quarters of it. */
  readonly leaseMs: number;
  /** No verdict before it, in ms; at least 2 deadlines. Default 2 deadlines. */
  readonly initialGraceMs: number;
}

/** One mirror of a simulated pair. */
export interface SimulatedMirrorOptions {
  readonly name: string;
  /** Default 1 MiB. */
  readonly sizeBytes?: number;
  /** How much larger the devices of both nodes are, for order `grow` to find. Default 0. */
  readonly roomBytes?: number;
  /** Of both nodes. Default `sync`. */
  readonly protocol?: MirrorProtocol;
  /** As of a mirror, by `async`. Default `block`. */
  readonly whenCongested?: WhenCongested;
  /** Application bytes sent and not yet acknowledged: as `limits.windowBytes` of a mirror. Default 8 MiB. */
  readonly windowBytes?: number;
}

/** An application that writes, reads and flushes wherever it is let, and checks what it reads. */
export interface WorkloadOptions {
  /** Blocks of each mirror that it uses, spread over its size. Default 8. */
  readonly blocks?: number;
  /** Size of each, in bytes; 512 or a multiple. Default 4,096. */
  readonly blockBytes?: number;
  /** Requests under way at once, at most, on each node. Default 4. */
  readonly depth?: number;
  /** Longest pause before the next requests, in ms of virtual time. Default 30. */
  readonly pauseMs?: number;
  /** Of a hundred requests. The rest are flushes. Default 50 writes, 40 reads. */
  readonly writesPercent?: number;
  readonly readsPercent?: number;
  /**
   * Of a hundred turns, those that ask twice at once, a write and then another request that overlaps it in part: both begin at any sector and have any length up
   * to two blocks. Default 0.
   */
  readonly overlapsPercent?: number;
  /** Of a hundred writes, those longer than one message of the data link can be, where the mirror has room for such. Default 0. */
  readonly longPercent?: number;
  /** Of a hundred writes, those that write zeroes. Default 0. */
  readonly zeroesPercent?: number;
  /** Of a hundred writes, those with FUA. Default 100 where the pair may lose power, else 20. */
  readonly fuaPercent?: number;
}

/** Longest times, in ms; each is drawn evenly from 0. */
export interface SimulatedLatencies {
  /** Of one request of the disk of an element, and of those that hold metadata and pair record. 0: it completes before its call returns. Default 0. */
  readonly elementMs?: number;
  readonly metadataMs?: number;
  /** Of a question on its way to the arbiter, and of its answer on its way back. Default 0: both come at once. */
  readonly arbiterMs?: number;
}

/** What a simulated pair is made of. All of it plain data, so that a run can be told by its options alone. */
export interface PairSimulationOptions {
  /** Everything that chance decides follows from it. Default 1. */
  readonly seed?: number;
  /** One or more. Default one called `m0`. */
  readonly mirrors?: readonly SimulatedMirrorOptions[];
  /** Names of the monitor links, one or more. Default `mon1` and `mon2`. */
  readonly monitorLinks?: readonly string[];
  /** Default false. */
  readonly arbiter?: boolean;
  /** The platform can fence: it powers the other machine off. Default false. */
  readonly fence?: boolean;
  /** As for a real pair, but `stepDeadlineMs` defaults to 10,000 and `requestDeadlineMs` to 2,000, in virtual time. `whenAlone: 'arbiter'` needs `arbiter: true`. */
  readonly policy?: FailoverPolicy;
  readonly times?: Partial<SimulationTimes>;
  /** Null: only what the test asks for is written. Default null. */
  readonly workload?: WorkloadOptions | null;
  /** The application uses mirrors through the net disk of their node, as an operating system does. Default false: it calls them. */
  readonly netDisk?: boolean;
  /** What every link is like at the beginning. Default 1 ms one way. */
  readonly links?: LinkConditions;
  /** Default 0. */
  readonly latencies?: SimulatedLatencies;
  /** The disks of elements say that they complete every request at once, as files and raw devices do, and keep to it: latency and stalls spare them. Default false. */
  readonly synchronousElements?: boolean;
  /** The elements' devices can punch holes and tell where they are: a resync does not read zeroes, and writes them without a look. Default false. */
  readonly punchHole?: boolean;
  /** Machines may lose power: acknowledged writes count as safe once FUA or a flush made them durable. Default false. */
  readonly powerCuts?: boolean;
  /**
   * The schedule cuts every link at once. With `whenAlone: 'continue'`, no arbiter and no fence this can make two owners (rule `takeover.unfenced`), and the
   * invariant `one-owner` then does not hold that against the pair. The split brain that it ends in stays one: `settle` rejects with `convergence`, for an
   * operator must end it. Default true.
   */
  readonly partitions?: boolean;
  /** How far the monotonic clock of each node runs off, in parts per million; within ±{@link maxDriftPpm}. Default 0. */
  readonly driftPpm?: Readonly<Partial<Record<NodeName, number>>>;
  /** Orders to mirrors travel this long at most, as between threads, in ms. Default 3. */
  readonly threadLagMs?: number;
  /** Extents that the undo journal of each element has room for; 0: there is none. Default 0. */
  readonly undoJournalExtents?: number;
  /** Regions of the activity log, 2 to 1,024. Default 64. */
  readonly activeRegions?: number;
  /** `events`: what the classes tell and what is done to them; `all`: tokens and requests of the application too. Default `events`. */
  readonly detail?: 'events' | 'all';
}

/** Clocks worse than this break the lease (rule timing.lease) at the default times. Common crystals stay within 100 ppm. */
export const maxDriftPpm = 500;
