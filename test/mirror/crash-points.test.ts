import { expect } from 'chai';

import { durableSites, placesReached } from './crash-points/durable-sites.ts';
import { recoveries } from './crash-points/crash-recovery.ts';
import { crashAndRecover, tellStory } from './crash-points/crash-run.ts';
import type { CrashOutcome } from './crash-points/crash-run.ts';
import { crashStories } from './crash-points/crash-stories.ts';

/** Crashes at each write of a story that does not say otherwise. */
const usualCrashes = 1;
const kindsOfImages = ['after', 'before', 'cache', 'torn'];

/** In turn: before the write, after it, one that tears it or loses a cache. */
const turns = 3;

function wayOf(seed: number, ways: number): number {
  const turn = seed % turns;
  return turn < turns - 1 || ways < turns ? turn % 2 : turns - 1 + (Math.floor(seed / turns) % (ways - turns + 1));
}

/**
 * At every write some of the images that a crash may leave, each with one of the recoveries, in turn: the next write has others. `npm run prove -- --only crash-points`
 * runs all of them.
 */
describe('A crash at every write', () => {
  const sum = { points: 0, covered: 0, runs: 0, ways: 0 };
  const kinds = new Map<CrashOutcome['image']['kind'], number>();

  for (const [number, story] of crashStories.entries()) {
    it(`of ${story.name}: the pair recovers, nothing acknowledged is lost, and every difference was known (write.intent)`, async function () {
      this.timeout(120_000);
      const points = await tellStory(story);
      sum.points += points.length;
      for (const [at, point] of points.entries()) {
        let ways = 0;
        for (let crash = 0; crash < (story.usualCrashes ?? usualCrashes); crash += 1) {
          const recovery = recoveries[(number + at + crash) % recoveries.length]!;
          const outcome = await crashAndRecover({ story, at, point, recovery, way: (all) => wayOf(number + at + crash, all) });
          if (!outcome) expect.fail(`write ${String(at)} was not crashed`);
          ({ ways } = outcome);
          sum.runs += 1;
          kinds.set(outcome.image.kind, (kinds.get(outcome.image.kind) ?? 0) + 1);
        }
        sum.covered += 1;
        sum.ways += ways;
      }
    });
  }

  it('leaves out no write', () => {
    console.log(
      `      ${String(sum.points)} writes, ${String(sum.ways)} images that crashes may leave, ${String(sum.ways * recoveries.length)} recoveries; ${String(sum.runs)} of them here`,
    );
    expect(sum.covered).to.equal(sum.points);
    expect([...kinds.keys()].sort()).to.deep.equal(kindsOfImages);
  });

  it('leaves out no place of the source from which a mirror writes durably', async () => {
    const reached = await placesReached(crashStories);
    const missing = durableSites().filter(({ place }) => !reached.has(place));
    expect(missing).to.deep.equal([]);
  });
});
