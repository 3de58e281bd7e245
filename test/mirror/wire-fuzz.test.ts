import { expect } from 'chai';

import { watchUncaught } from '../../src/node/simulate/watch-uncaught.ts';
import { FuzzRound } from './support/wire-fuzz.ts';

/** `npm run prove -- --only fuzz-wire` runs a million and more. */
const leastFrames = 20_000;

describe('The data link under fuzzed frames', () => {
  it(`crashes, hangs and writes nothing at ${leastFrames.toLocaleString('en')} frames of an attacker who holds the key (trust)`, async function () {
    this.timeout(300_000);
    const uncaught: unknown[] = [];
    const unwatch = watchUncaught((error) => uncaught.push(error));
    const sum = { frames: 0, malformed: 0, connections: 0, whole: 0 };
    let seed = 0;
    try {
      while (sum.frames < leastFrames) {
        seed += 1;
        const count = await new FuzzRound(seed).run();
        for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += count[key];
      }
    } finally {
      unwatch();
    }
    expect(uncaught).to.deep.equal([]);
    console.log(
      `      ${String(sum.frames)} frames, ${String(sum.malformed)} of them malformed, on ${String(sum.connections)} connections of ${String(seed)} pairs; ${String(sum.whole)} pairs unharmed`,
    );
  });
});
