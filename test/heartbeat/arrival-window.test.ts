import { expect } from 'chai';
import fc from 'fast-check';

import { ArrivalWindow } from '../../src/heartbeat/arrival-window.ts';

/** As the definitions have it, from all gaps. */
function byDefinition(gaps: readonly number[]): { mean: number; deviation: number; expected: number } {
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
  const arrivals = gaps.reduce<number[]>((times, gap) => [...times, times.at(-1)! + gap], [0]);
  const next = arrivals.map((arrival, at) => arrival + (arrivals.length - at) * mean);
  const expected = next.reduce((sum, each) => sum + each, 0) / next.length - arrivals.at(-1)!;
  return { mean, deviation, expected };
}

describe('ArrivalWindow', () => {
  it('knows mean, deviation and the expected arrival of the last gaps, and no others', () => {
    const gap = fc.double({ min: 0, max: 60_000, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(gap, { minLength: 1, maxLength: 100 }), (size, gaps) => {
        const window = new ArrivalWindow(size);
        for (const each of gaps) window.add(each);
        const kept = gaps.slice(-size);
        const { mean, deviation, expected } = byDefinition(kept);
        expect(window.count).to.equal(kept.length);
        expect(window.meanMs()).to.be.closeTo(mean, 1e-6);
        expect(window.deviationMs()).to.be.closeTo(deviation, 0.01);
        expect(window.expectedMs()).to.be.closeTo(expected, 1e-5);
      }),
    );
  });

  it('expects the next sign of life a gap later where they are regular, and sooner after one that was late', () => {
    const window = new ArrivalWindow(10);
    for (let signs = 0; signs < 10; signs += 1) window.add(1_000);
    expect(window.expectedMs()).to.equal(1_000);
    window.add(1_500);
    expect(window.expectedMs()).to.be.below(1_000);
  });

  it('knows nothing before the first gap', () => {
    const window = new ArrivalWindow(3);
    expect([window.count, window.meanMs(), window.deviationMs(), window.expectedMs()]).to.deep.equal([0, 0, 0, 0]);
  });

  it('refuses what can be neither a size nor a gap', () => {
    for (const size of [0, -1, 1.5, NaN, Infinity]) expect(() => new ArrivalWindow(size)).to.throw(RangeError);
    const window = new ArrivalWindow(3);
    for (const gap of [-1, NaN, Infinity]) expect(() => window.add(gap)).to.throw(RangeError);
    expect(window.count).to.equal(0);
  });
});
