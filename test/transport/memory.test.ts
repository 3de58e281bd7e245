import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { transportConformance } from '../../src/testing/transport-conformance.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import { smallLimits } from './tcp-fixture.ts';

describe('transport/memory', () => {
  for (const delayMs of [0, 3]) {
    describe(`keeps the contract with a delay of ${String(delayMs)} ms`, () => {
      transportConformance({ describe, it }, () => {
        const clock = new VirtualClock();
        const network = new MemoryNetwork({ clock, random: new SeededRandom(1) });
        const link = network.link('data', { nodes: ['alpha', 'beta'], delayMs, limits: smallLimits });
        return Promise.resolve({
          a: link.transport('alpha'),
          b: link.transport('beta'),
          settle: (promise) => clock.settled(promise, 60_000),
          close: () => Promise.resolve(),
        });
      });
    });
  }
});
