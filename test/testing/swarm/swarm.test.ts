import { expect } from 'chai';

import type { PairSimulationOptions } from '../../../src/testing/simulation/options.ts';
import { simulatePair } from '../../../src/testing/simulation/simulated-pair.ts';
import { drawSchedule } from '../../../src/testing/swarm/draw-schedule.ts';
import { describeFailure } from '../../../src/testing/swarm/failure-report.ts';
import { carryOut } from '../../../src/testing/swarm/job.ts';

/** Every policy with what it promises to survive. */
const modes: readonly { readonly title: string; readonly fits: (options: PairSimulationOptions) => boolean }[] = [
  { title: 'freeze: whatever fails', fits: ({ policy, powerCuts }) => policy?.whenAlone === 'freeze' && powerCuts === false },
  {
    title: 'freeze: whatever fails, power included',
    fits: ({ policy, powerCuts }) => policy?.whenAlone === 'freeze' && powerCuts === true,
  },
  { title: 'arbiter: whatever fails', fits: ({ policy }) => policy?.whenAlone === 'arbiter' },
  { title: 'continue: whatever fails, but one link', fits: ({ policy }) => policy?.whenAlone === 'continue' },
];
const seedsPerMode = 6;

describe('a pair under random failures has one owner, loses nothing acknowledged and becomes whole again', function () {
  this.timeout(120_000);

  for (const { title, fits } of modes)
    it(`${title} (handover, takeover.commit, alone, serve.lease, write.both, lineage.decide)`, async () => {
      for (let seed = 1, left = seedsPerMode; left > 0; seed += 1) {
        if (!fits(drawSchedule(seed).options)) continue;
        left -= 1;
        const { failure } = await carryOut({ seed, schedule: null, shrinkRuns: 0, keepLog: false }, { start: simulatePair });
        if (failure) expect.fail(describeFailure(failure));
      }
    });
});
