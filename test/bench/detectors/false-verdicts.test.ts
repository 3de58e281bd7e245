import { expect } from 'chai';

import { falseVerdictsADay, falseVerdictsADayAtMost } from '../../../bench/detectors/false-verdicts.ts';
import type { LossyPair } from '../../../bench/detectors/false-verdicts.ts';
import { createDetector } from '../../../src/heartbeat/detector.ts';
import { watchTimes } from '../../../src/heartbeat/options.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';

const { intervalMs, deadlineMs, lateProbeMs } = watchTimes({});
const pair = { intervalMs, deadlineMs, lost: 0.3, jitterMs: intervalMs } as const;
const dayMs = 86_400_000;

/** When something arrives in a day, in order, on all links, with tokens at each interval and nothing probed faster. */
function arrivals({ links, lost, jitterMs }: LossyPair, answers: boolean, seed: number): Float64Array {
  const random = new SeededRandom(seed);
  const times: number[] = [];
  for (let stream = 0; stream < links * (answers ? 2 : 1); stream += 1) {
    const ways = answers && stream % 2 === 1 ? 2 : 1;
    for (let sentMs = random.fraction() * intervalMs; sentMs < dayMs; sentMs += intervalMs) {
      let atMs = sentMs;
      for (let way = 0; way < ways; way += 1) atMs = random.fraction() < lost ? Infinity : atMs + random.fraction() * jitterMs;
      if (atMs < dayMs) times.push(atMs);
    }
  }
  return Float64Array.from(times).sort();
}

/** How often the detector was wrong on so many days. */
function mistakes(given: LossyPair, answers: boolean, days: number): number {
  let wrong = 0;
  for (let seed = 1; seed <= days; seed += 1) {
    const detector = createDetector({ kind: 'deadline', deadlineMs: given.deadlineMs });
    for (const atMs of arrivals(given, answers, seed)) {
      if (detector.state(atMs) === 'dead') wrong += 1;
      detector.heard(atMs);
    }
  }
  return wrong;
}

/** Within four standard deviations of what chance makes of it. */
function expectAsComputed(given: LossyPair, answers: boolean, days: number): void {
  const computed = falseVerdictsADay(given, { answers }) * days;
  expect(computed).to.be.above(50);
  expect(mistakes(given, answers, days)).to.be.closeTo(computed, 4 * Math.sqrt(computed));
}

describe('bench: false verdicts on lossy links', () => {
  it('is what the detector does in 100 days, each of a seed of its own, on two links with tokens one way', () => {
    expectAsComputed({ ...pair, links: 2 }, false, 100);
  });

  it('is what the detector does with tokens and answers, and with other times and losses', () => {
    expectAsComputed({ ...pair, links: 1 }, true, 10);
    expectAsComputed({ ...pair, links: 2, lost: 0.5 }, true, 5);
    expectAsComputed({ ...pair, links: 1, deadlineMs: 3_300, jitterMs: 2_500 }, false, 2);
    expectAsComputed({ ...pair, links: 1, lost: 0.1, deadlineMs: 2_000, jitterMs: 100 }, false, 5);
  });

  it('agrees with the formula for whole intervals', () => {
    const { lost } = pair;
    const oneLink = (1 - lost) * lost ** 4 * ((1 + lost) / 2) * (dayMs / intervalMs);
    expect(falseVerdictsADay({ ...pair, links: 1 }, { answers: false })).to.be.closeTo(oneLink, 1e-3);
    const other = lost ** 4 * (lost + (1 - lost) ** 2 / 6);
    expect(falseVerdictsADay({ ...pair, links: 2 }, { answers: false })).to.be.closeTo(2 * oneLink * other, 1e-5);
  });

  it('stays below one in a thousand days at the default times on two links, by the fast probes of late links, and not without them', () => {
    expect(falseVerdictsADayAtMost({ ...pair, links: 2 }, lateProbeMs)).to.be.below(1e-15);
    expect(falseVerdictsADayAtMost({ ...pair, links: 1 }, lateProbeMs)).to.be.below(1e-3);
    expect(falseVerdictsADay({ ...pair, links: 2 }, { answers: true })).to.be.within(1e-3, 1e-2);
  });
});
