import { expect } from 'chai';
import fc from 'fast-check';

import { ExpectedArrivalPatience, PhiAccrualPatience, deviationsAtPhi, fewestGaps } from '../../src/heartbeat/patience.ts';
import type { Patience } from '../../src/heartbeat/patience.ts';

/** φ by its definition, as Akka computes it. */
function phiAt(deviations: number): number {
  return Math.log10(1 + Math.exp(deviations * (1.5976 + 0.070566 * deviations ** 2)));
}

function learnt(patience: Patience, gaps: readonly number[]): number | null {
  for (const gap of gaps) patience.learn(gap);
  return patience.silenceMs();
}

const regular = Array.from({ length: fewestGaps }, () => 1_000);

describe('patience', () => {
  it('φ accrual: turns φ round', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 400, noNaN: true }), (phi) => {
        const deviations = deviationsAtPhi(phi);
        // Beyond 10^308 only the exponent can be compared.
        const exponent = deviations * (1.5976 + 0.070566 * deviations ** 2);
        expect(exponent > 500 ? exponent / Math.LN10 : phiAt(deviations)).to.be.closeTo(phi, 1e-6 * phi);
      }),
    );
    expect(deviationsAtPhi(8)).to.be.closeTo(5.22, 0.01);
  });

  it('φ accrual: bears the mean, the pause and some deviations, of which there are never too few', () => {
    const settings = { threshold: 8, minDeviationMs: 100, acceptablePauseMs: 3_000 };
    expect(learnt(new PhiAccrualPatience(settings), regular)).to.be.closeTo(1_000 + 3_000 + 100 * deviationsAtPhi(8), 1e-6);
    const uneven = regular.map((gap, at) => gap + (at % 2 === 0 ? 500 : -500));
    expect(learnt(new PhiAccrualPatience(settings), uneven)).to.be.closeTo(1_000 + 3_000 + 500 * deviationsAtPhi(8), 1e-6);
  });

  it('Chen: bears a margin from when the next sign of life is expected', () => {
    expect(learnt(new ExpectedArrivalPatience(4_000), regular)).to.equal(5_000);
  });

  it('says nothing while too little is known', () => {
    for (const patience of [
      new ExpectedArrivalPatience(1),
      new PhiAccrualPatience({ threshold: 8, minDeviationMs: 1, acceptablePauseMs: 0 }),
    ]) {
      expect(learnt(patience, regular.slice(1))).to.equal(null);
      expect(learnt(patience, [1_000])).to.be.a('number');
    }
  });
});
