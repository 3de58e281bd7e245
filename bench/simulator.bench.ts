import { simulatePair } from '../src/testing/simulation/simulated-pair.ts';
import { carryOut } from '../src/testing/swarm/job.ts';
import type { Benchmark } from './benchmark.ts';

const idleSeconds = 1_000;
const seeds = 20;

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'an idle pair at default times',
    unit: 'virtual seconds',
    async prepare() {
      const pair = await simulatePair();
      return async () => {
        await pair.runFor(idleSeconds * 1_000);
        return idleSeconds;
      };
    },
  },
  {
    name: `the default swarm, seeds 1 to ${seeds}`,
    unit: 'seeds',
    async prepare() {
      // As in a thread of the swarm.
      Error.stackTraceLimit = 0;
      return async () => {
        for (let seed = 1; seed <= seeds; seed += 1)
          await carryOut({ seed, schedule: null, shrinkRuns: 0, keepLog: false }, { start: simulatePair });
        return seeds;
      };
    },
  },
];
