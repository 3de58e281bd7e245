import type { SimulationEntry } from '../simulation/entry.ts';
import type { SimulationSchedule } from '../simulation/schedule.ts';
import { describeLast } from './describe-schedule.ts';
import { drawSchedule } from './draw-schedule.ts';
import type { SwarmFailure } from './failure-report.ts';
import { runSchedule } from './run-schedule.ts';
import type { RunHooks, RunReport } from './run-schedule.ts';
import { shrink } from './shrink.ts';

/** One run for a worker. Plain data. */
export interface SwarmJob {
  /** Null where the schedule is given. */
  readonly seed: number | null;
  /** Null: it is drawn from the seed. */
  readonly schedule: SimulationSchedule | null;
  /** Runs that shrinking a failure may take; 0: it is not shrunk. */
  readonly shrinkRuns: number;
  /** Whether the log is part of the result, with tokens and requests. */
  readonly keepLog: boolean;
}

/** What came of a job. Plain data. */
export interface JobResult {
  readonly seed: number | null;
  /** Requests of the application that succeeded. */
  readonly acknowledged: number;
  readonly virtualMs: number;
  /** Null where every promise held. */
  readonly failure: SwarmFailure | null;
  /** Null unless it was asked for. */
  readonly log: readonly SimulationEntry[] | null;
}

/** Events before the failure that a report shows, each once however often it repeats itself. */
const reportedEvents = 40;
/** Of an error that nobody expected. */
const stackFrames = 10;

/** The schedule of a job. Throws `RangeError` where it has none. */
export function scheduleOf({ seed, schedule }: Pick<SwarmJob, 'seed' | 'schedule'>): SimulationSchedule {
  if (schedule) return schedule;
  if (seed === null) throw new RangeError('a job has a seed or a schedule');
  return drawSchedule(seed);
}

/** Carries a job out: runs its schedule, and shrinks it where a promise breaks. */
export async function carryOut(job: SwarmJob, hooks: RunHooks): Promise<JobResult> {
  const drawn = scheduleOf(job);
  const schedule: SimulationSchedule = job.keepLog ? { ...drawn, options: { ...drawn.options, detail: 'all' } } : drawn;
  const report = await runSchedule(schedule, hooks);
  const { acknowledged, virtualMs, log, invariant } = report;
  const failure = invariant === null ? null : await failureOf(job, schedule, { ...report, invariant }, hooks);
  return { seed: job.seed, acknowledged, virtualMs, failure, log: job.keepLog ? log : null };
}

async function failureOf(
  { seed, shrinkRuns }: SwarmJob,
  schedule: SimulationSchedule,
  { invariant, text, log }: RunReport & { readonly invariant: SwarmFailure['invariant'] },
  hooks: RunHooks,
): Promise<SwarmFailure> {
  const breaksTheSame = async (candidate: SimulationSchedule): Promise<boolean> =>
    (await runSchedule(candidate, hooks)).invariant === invariant;
  return {
    seed,
    invariant,
    text: invariant === 'no-crash' ? await textWithStack(schedule, text, hooks) : text,
    lastEvents: describeLast(log, reportedEvents),
    schedule,
    shrunk: shrinkRuns === 0 ? null : await shrink(schedule, breaksTheSame, shrinkRuns),
  };
}

/** What happened, once more, this time with the place in the code: threads of the swarm make errors without. */
async function textWithStack(schedule: SimulationSchedule, text: string, hooks: RunHooks): Promise<string> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = stackFrames;
  try {
    const again = await runSchedule(schedule, hooks);
    return again.invariant === 'no-crash' ? again.text : text;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
