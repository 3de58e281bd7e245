import { expect } from 'chai';

import { crashAndRecover, recoveries, tellStory } from './crash-points/crash-run.ts';
import type { CrashOutcome } from './crash-points/crash-run.ts';
import { crashStories } from './crash-points/crash-stories.ts';

/** At every write a crash before it and one after it; at every third one more, torn or with a volatile cache. `npm run prove -- --only crash-points` runs them all. */
const oneMoreEvery = 3;

describe('A crash at every write', () => {
  const sum = { points: 0, covered: 0, runs: 0, ways: 0 };
  const kinds = new Map<CrashOutcome['image']['kind'], number>();

  for (const [number, story] of crashStories.entries()) {
    it(`of ${story.name}: the pair recovers, nothing acknowledged is lost, and every difference was known (write.intent)`, async function () {
      this.timeout(120_000);
      const points = await tellStory(story);
      sum.points += points.length;
      for (const [at, point] of points.entries()) {
        const run = async (way: number): Promise<CrashOutcome | null> => {
          const recovery = recoveries[(number + at + way) % recoveries.length]!;
          const outcome = await crashAndRecover({ story, at, point, recovery, way });
          if (outcome) {
            sum.runs += 1;
            kinds.set(outcome.image.kind, (kinds.get(outcome.image.kind) ?? 0) + 1);
          }
          return outcome;
        };
        const [before, after] = [await run(0), await run(1)];
        if (before?.image.kind !== 'before' || after?.image.kind !== 'after')
          expect.fail(`write ${String(at)} was not crashed before and after`);
        sum.covered += 1;
        sum.ways += after.ways;
        if (at % oneMoreEvery === 0 && after.ways > 2) await run(2 + (at % (after.ways - 2)));
      }
    });
  }

  it('leaves out no write', () => {
    console.log(
      `      ${String(sum.points)} writes, ${String(sum.ways)} images that crashes may leave, ${String(sum.ways * recoveries.length)} recoveries; ${String(sum.runs)} of them here`,
    );
    expect(sum.covered).to.equal(sum.points);
    expect([...kinds.keys()].sort()).to.deep.equal(['after', 'before', 'cache', 'torn']);
  });
});
