import { watchUncaught } from '../../src/node/simulate/watch-uncaught.ts';
import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import { describeFailure } from '../../src/testing/swarm/failure-report.ts';
import { carryOut } from '../../src/testing/swarm/job.ts';

export const name = 'simulate';
export const unit = 'drawn schedules of a simulated pair';
export const target = 100_000;
/** Each code is put through seeds of its own. */
export const fresh = true;
export const parallel = true;

const shrinkRuns = 300;

export async function run(seed: number): Promise<void> {
  const { failure } = await carryOut({ seed, schedule: null, shrinkRuns, keepLog: false }, { start: simulatePair, watchUncaught });
  if (failure) throw new Error(describeFailure(failure));
}
