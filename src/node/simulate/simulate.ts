import { availableParallelism } from 'node:os';

import type { Random } from '../../clock/random.ts';
import { HotMirrorError } from '../../errors.ts';
import type { SimulationEntry } from '../../testing/simulation/entry.ts';
import { describeFailure } from '../../testing/swarm/failure-report.ts';
import type { SwarmFailure } from '../../testing/swarm/failure-report.ts';
import type { JobResult, SwarmJob } from '../../testing/swarm/job.ts';
import type { SimulateOptions, SimulateVerdict, TimelineReportOptions } from '../programs.ts';
import { writeTimelineReport } from '../timeline-report.ts';
import { hungMs, shrinkMs, shrinkRuns } from './limits.ts';
import { loadSchedule } from './schedule-file.ts';
import { Swarm, unlessStopped } from './swarm.ts';
import { SwarmPool } from './swarm-pool.ts';
import { startSwarmThread } from './swarm-thread.ts';
import type { SwarmThread } from './swarm-thread.ts';

const seedBytes = 4;
const msPerSecond = 1_000;

/** What {@link simulate} stands on; injected by tests. */
export interface SimulateParts {
  readonly start: () => SwarmThread;
  readonly threads: number;
  /** Writes the page of `--report`. */
  readonly timeline: (entries: readonly SimulationEntry[], about: TimelineReportOptions) => Promise<unknown>;
}

/** Runs simulated pairs: one schedule, one seed, or a swarm of seeds on every core. */
export async function simulate(options: SimulateOptions, parts: Partial<SimulateParts> = {}): Promise<SimulateVerdict> {
  const { start = startSwarmThread, threads = availableParallelism(), timeline = writeTimelineReport } = parts;
  const one = oneRun(options);
  const pool = new SwarmPool({ size: one ? 1 : threads, start, clock: options.clock, hungMs, shrinkMs });
  try {
    const verdict = one ? await runOne(options, await one(), pool, timeline) : await runMany(options, pool);
    for (const failure of verdict.failures) options.tell(`\n${describeFailure(failure)}\n`);
    return verdict;
  } finally {
    await pool.close();
  }
}

/** How to come by the one run that was asked for; null where it is seeds. */
function oneRun({ seed, seeds, forMs, schedule: file, report }: SimulateOptions): (() => Promise<SwarmJob>) | null {
  const job = { seed: null, schedule: null, shrinkRuns, keepLog: report !== null };
  if (file !== null) return async () => ({ ...job, schedule: await loadSchedule(file) });
  return seed !== null && seeds === null && forMs === null ? () => Promise.resolve({ ...job, seed }) : null;
}

async function runOne(
  options: SimulateOptions,
  job: SwarmJob,
  pool: SwarmPool,
  timeline: SimulateParts['timeline'],
): Promise<SimulateVerdict> {
  const { clock, signal, tell, report } = options;
  tell(job.seed === null ? `schedule ${String(options.schedule)}` : `seed ${String(job.seed)}`);
  const stop = (): void => void pool.close();
  signal.addEventListener('abort', stop, { once: true });
  const startedMs = clock.nowMs();
  try {
    const result = await unlessStopped(pool.run(job));
    if (!result) return stoppedVerdict(job, clock.nowMs() - startedMs);
    const tookMs = clock.nowMs() - startedMs;
    if (report !== null) await timeline(result.log ?? [], { file: report, ...aboutOf(options, result) });
    return verdictOf(result, tookMs);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function aboutOf({ schedule }: SimulateOptions, { seed, failure }: JobResult): { readonly title: string; readonly note: string } {
  const title = seed === null ? `Schedule ${String(schedule)}` : `Seed ${String(seed)}`;
  return { title, note: failure === null ? 'Every promise held.' : noteOf(failure) };
}

/** The sentence that broke, in a line. What an invariant says of itself begins with its name, what a crash says does not. */
function noteOf({ invariant, text }: SwarmFailure): string {
  const [first = ''] = text.split('\n');
  return first.startsWith(`${invariant}: `) ? first : `${invariant}: ${first}`;
}

function verdictOf({ seed, failure, virtualMs, acknowledged }: JobResult, tookMs: number): SimulateVerdict {
  const what = failure === null ? 'every promise held' : `${failure.invariant} broke`;
  const how = `${(virtualMs / msPerSecond).toFixed(1)} virtual seconds in ${seconds(tookMs)}`;
  return {
    passed: failure === null,
    stopped: false,
    firstSeed: seed,
    held: failure === null ? 1 : 0,
    failures: failure === null ? [] : [failure],
    virtualMs,
    acknowledged,
    text: `${what}: ${how}, ${String(acknowledged)} requests acknowledged`,
  };
}

function stoppedVerdict({ seed }: SwarmJob, tookMs: number): SimulateVerdict {
  const which = seed === null ? 'the schedule' : `seed ${String(seed)}`;
  const text = `stopped: ${which} had not ended after ${seconds(tookMs)}`;
  return { passed: false, stopped: true, firstSeed: seed, held: 0, failures: [], virtualMs: 0, acknowledged: 0, text };
}

function seconds(ms: number): string {
  return `${(ms / msPerSecond).toFixed(1)} s`;
}

function runMany(options: SimulateOptions, pool: SwarmPool): Promise<SimulateVerdict> {
  const { clock, signal, tell, forMs } = options;
  if (options.report !== null) throw new HotMirrorError('HM_USAGE', '--report shows one run: give --seed or --schedule alone');
  const firstSeed = options.seed ?? freshSeed(options.random);
  const count = options.seeds ?? (forMs === null ? 1 : Infinity);
  const untilMs = forMs === null ? Infinity : clock.nowMs() + forMs;
  tell(`first seed ${String(firstSeed)}, then the next ones; ${String(pool.size)} threads`);
  return new Swarm({ pool, clock, signal, firstSeed, count, untilMs, tell }).run();
}

function freshSeed(random: Random): number {
  return Buffer.from(random.bytes(seedBytes)).readUInt32LE();
}
