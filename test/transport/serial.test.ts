import { transportConformance } from '../../src/testing/transport-conformance.ts';
import { hasSocat } from '../support/pseudo-terminals.ts';
import { skipBecause } from '../support/skip.ts';
import type { CableFaults } from './serial-cable.ts';
import { mockFixture, terminalFixture, virtualFixture } from './serial-fixture.ts';

const runner = { describe, it };
const harsh: CableFaults = { lostPerMillion: 200, flippedPerMillion: 200, duplicatedPerMillion: 200 };

describe('transport/serial', function () {
  this.timeout(20_000); // real ports on a machine that may be busy

  transportConformance(runner, { name: 'serial, a cable in virtual time', create: () => Promise.resolve(virtualFixture({})) });
  for (let seed = 1; seed <= 3; seed += 1) {
    const name = `serial, a cable that loses, flips and duplicates bytes, seed ${String(seed)}`;
    transportConformance(runner, { name, create: () => Promise.resolve(virtualFixture(harsh, seed)) });
  }
  transportConformance(runner, { name: 'serial, mocks of serialport', create: () => Promise.resolve(mockFixture()) });

  describe('over pseudo-terminals', () => {
    before(function () {
      if (!hasSocat()) skipBecause(this, 'socat is not installed');
    });

    transportConformance(runner, { name: 'serial, pseudo-terminals', create: terminalFixture });
  });
});
