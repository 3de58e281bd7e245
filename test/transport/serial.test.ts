import { transportConformance } from '../../src/testing/transport-conformance.ts';
import type { CableFaults } from './serial-cable.ts';
import { virtualFixture } from './serial-fixture.ts';

const runner = { describe, it };
const harsh: CableFaults = { lostPerMillion: 200, flippedPerMillion: 200, duplicatedPerMillion: 200 };

describe('transport/serial', () => {
  transportConformance(runner, { name: 'serial, a cable in virtual time', create: () => Promise.resolve(virtualFixture({})) });
  for (let seed = 1; seed <= 3; seed += 1) {
    const name = `serial, a cable that loses, flips and duplicates bytes, seed ${String(seed)}`;
    transportConformance(runner, { name, create: () => Promise.resolve(virtualFixture(harsh, seed)) });
  }
});
