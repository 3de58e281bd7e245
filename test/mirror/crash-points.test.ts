import { expect } from 'chai';

import { recoveries } from './crash-points/crash-recovery.ts';
import { crashAndRecover, tellStory } from './crash-points/crash-run.ts';
import type { CrashOutcome } from './crash-points/crash-run.ts';
import { crashStories } from './crash-points/crash-stories.ts';

/** Where the cache held anything, the third way loses all of it. */
const cacheLost = 2;

/** At every write a crash before it, one after it, and one that tears it or loses a cache. `npm run prove -- --only crash-points` runs all of them. */
describe('A crash at every write', () => {
  const sum = { points: 0, covered: 0, runs: 0, ways: 0 };
  const kinds = new Map<CrashOutcome['image']['kind'], number>();

  for (const [number, story] of crashStories.entries()) {
    it(`of ${story.name}: the pair recovers, nothing acknowledged is lost, and every difference was known (write.intent)`, async function () {
      this.timeout(120_000);
      const points = await tellStory(story);
      sum.points += points.length;
      for (const [at, point] of points.entries()) {
        const run = async (way: number, recovery = recoveries[(number + at + way) % recoveries.length]!): Promise<CrashOutcome | null> => {
          const outcome = await crashAndRecover({ story, at, point, recovery, way });
          if (!outcome) return null;
          sum.runs += 1;
          kinds.set(outcome.image.kind, (kinds.get(outcome.image.kind) ?? 0) + 1);
          return outcome;
        };
        const [before, after] = [await run(0), await run(1)];
        if (before?.image.kind !== 'before' || after?.image.kind !== 'after')
          expect.fail(`write ${String(at)} was not crashed before and after`);
        // With a peer that survives, or with any way and any recovery.
        if (at % 2 === 0) await run(cacheLost, recoveries[Math.floor(at / 2) % 2]);
        else if (after.ways > cacheLost) await run(cacheLost + (at % (after.ways - cacheLost)));
        sum.covered += 1;
        sum.ways += after.ways;
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
