import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { expect } from 'chai';

import { simulatePair } from '../../../src/testing/simulation/simulated-pair.ts';
import type { SimulatedPair } from '../../../src/testing/simulation/simulated-pair.ts';
import { drawSchedule } from '../../../src/testing/swarm/draw-schedule.ts';
import { runSchedule } from '../../../src/testing/swarm/run-schedule.ts';

const seeds = 25;

/** Runs the collector, now. */
async function collect(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  // What has just ended is held by the turn of the event loop that it ended in.
  for (let turn = 0; turn < 3; turn += 1) {
    await setImmediate();
    gc();
  }
}

describe('A swarm', function () {
  this.timeout(60_000);

  it('keeps nothing of pairs that are over, whatever their nodes were waiting for when they died', async () => {
    const logs: WeakRef<SimulatedPair['log']>[] = [];
    const start: typeof simulatePair = async (...options) => {
      const pair = await simulatePair(...options);
      logs.push(new WeakRef(pair.log));
      return pair;
    };
    for (let seed = 1; seed <= seeds; seed += 1) await runSchedule(drawSchedule(seed), { start });
    await collect();
    expect(logs).to.have.lengthOf(seeds);
    expect(logs.filter((log) => log.deref() !== undefined)).to.have.lengthOf(0);
  });
});
