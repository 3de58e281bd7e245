import * as z from 'zod';

import type { WhenAlone } from '../../failover/alone.ts';
import { checkForm } from '../simulation/forms.ts';
import type { NodeName } from '../simulation/steps.ts';
import { nodeNames } from '../simulation/steps.ts';

/** How many of each deviation one schedule may hold. What is left of them at a state is its budget. */
export interface ExplorationBounds {
  /** Deliveries that are held until something later has happened. */
  readonly postponements: number;
  /** Crashes of a process; it starts again some time later. */
  readonly crashes: number;
  /** Cuts of every link at once. */
  readonly partitions: number;
  /** Writes of the application that are chosen, each at any node that serves. One more, which this does not count, goes to the node that begins to serve after the start, as soon as it does. */
  readonly writes: number;
}

/** Who is not heard any more in a partition: `both`, or only what this node sends is lost on its way. */
export type PartitionWay = 'both' | NodeName;

/** What is explored. */
export interface ExplorationOptions {
  readonly whenAlone: WhenAlone;
  readonly bounds: ExplorationBounds;
  /** When a node that crashed starts again, in ms; each is tried. Default half a deadline and two deadlines. */
  readonly rebootAfterMs?: readonly number[];
  /** When a partition heals, in ms, or null for never; each is tried. Default two deadlines, and never. */
  readonly healAfterMs?: readonly (number | null)[];
  /** Default `both`. */
  readonly ways?: readonly PartitionWay[];
  /**
   * Where choices are offered. `changes`: where something has changed since they were last offered, other than the times of idle tokens and probes; what lies
   * between two such points differs in timing alone. `all`: at every point. Default `changes`.
   */
  readonly points?: 'changes' | 'all';
  /** A schedule ends once nothing has changed, and no start or healing is due, for this long, in ms. Default three deadlines. */
  readonly quietMs?: number;
  /** A process dies not only between two events but also after each effect within one. Default true. */
  readonly crashWithin?: boolean;
  /** Events of one schedule at most; what is longer counts as unfinished. Default 3,000. */
  readonly maxEvents?: number;
  /** Schedules at most; the report says whether more were left. Default no bound. */
  readonly maxSchedules?: number;
  /** Of so many schedules that end in a known state one goes on by default, to see whether it leads where the other led; 0: none. Default 4. */
  readonly followEvery?: number;
  /** Ends with the first finding. Default true. */
  readonly stopAtFirst?: boolean;
  /** False: no state is recognised, each schedule runs until `maxEvents`. To check the recognition itself, in very small bounds. Default true. */
  readonly recognise?: boolean;
}

/** A schedule that broke a promise. */
export interface ExplorationFinding {
  /** `two-owners`, or the name of the invariant that broke. */
  readonly what: string;
  readonly text: string;
  /** Every choice that was not the default, and what happened, in order. */
  readonly trace: readonly string[];
}

/** What an exploration came to. */
export interface ExplorationReport {
  /** Schedules executed, each from the start. */
  readonly schedules: number;
  /** Events executed in all of them. */
  readonly events: number;
  /** States that differ in what a later step depends on. */
  readonly states: number;
  /** Schedules that ended in a state seen before with at least as much budget. */
  readonly cutOffs: number;
  /** Schedules that ended because nothing had changed for `quietMs`. */
  readonly settled: number;
  /** Schedules that ended at `maxEvents`. */
  readonly unfinished: number;
  /** Events of the longest schedule. */
  readonly longest: number;
  /** Schedules that `maxSchedules` or the first finding left unexecuted, as far as they were known; 0: every one within the bounds was executed or cut off. */
  readonly left: number;
  /** Schedules in which each node acknowledged a write. */
  readonly acknowledgedBy: Readonly<Record<NodeName, number>>;
  /** Schedules in which the owner was another one at the end, or the epoch was raised. */
  readonly raised: number;
  /** How often two states that were taken for the same were compared in where they led. */
  readonly compared: number;
  /** States taken for the same that went on differently: each would be a hole in a class's `snapshot()`. */
  readonly mistaken: readonly string[];
  readonly findings: readonly ExplorationFinding[];
}

/** The options with every default filled in. */
export type CompleteExploration = Required<ExplorationOptions>;

/** Times of the small world, in ms: as short as the proportions of real ones allow, so that little happens within a deadline. */
export const smallTimes = { intervalMs: 200, deadlineMs: 400, leaseMs: 300, initialGraceMs: 800 } as const;

const count = z.int().min(0);
const duration = z.number().min(0);
/** Absent it is unbounded, and so may be said. */
const most = z.int().min(1).or(z.literal(Infinity));

const optionsForm = z.strictObject({
  whenAlone: z.enum(['continue', 'freeze', 'arbiter']),
  bounds: z.strictObject({ postponements: count, crashes: count, partitions: count, writes: count }),
  rebootAfterMs: z.array(duration).min(1).optional(),
  healAfterMs: z.array(duration.nullable()).min(1).optional(),
  ways: z
    .array(z.enum(['both', ...nodeNames]))
    .min(1)
    .optional(),
  points: z.enum(['changes', 'all']).optional(),
  quietMs: duration.optional(),
  crashWithin: z.boolean().optional(),
  maxEvents: most.optional(),
  maxSchedules: most.optional(),
  followEvery: count.optional(),
  stopAtFirst: z.boolean().optional(),
  recognise: z.boolean().optional(),
});

/** Fills in the defaults. Throws `RangeError` for what makes no sense, with the path of the option. */
export function completeExploration(options: ExplorationOptions): CompleteExploration {
  checkForm(optionsForm, options);
  const { deadlineMs } = smallTimes;
  return {
    rebootAfterMs: [deadlineMs / 2, 2 * deadlineMs],
    healAfterMs: [2 * deadlineMs, null],
    ways: ['both'],
    points: 'changes',
    quietMs: 3 * deadlineMs,
    crashWithin: true,
    maxEvents: 3_000,
    maxSchedules: Infinity,
    followEvery: 4,
    stopAtFirst: true,
    recognise: true,
    ...options,
  };
}
