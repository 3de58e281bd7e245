import { expect } from 'chai';

import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import type { SimulatedPair } from '../../src/testing/simulation/simulated-pair.ts';

/** A pair that is whole. */
async function pairWith(dataDelayMs: number, monitorDelayMs: number): Promise<SimulatedPair> {
  const pair = await simulatePair({ seed: 3, links: { delayMs: dataDelayMs } });
  await pair.until({ whole: true }, { withinMs: 60_000 });
  for (const link of ['mon1', 'mon2']) await pair.perform({ do: 'conditions', link, conditions: { delayMs: monitorDelayMs } });
  await pair.runFor(5_000);
  return pair;
}

async function loseDataFor(pair: SimulatedPair, forMs: number): Promise<void> {
  await pair.cut('data');
  await pair.perform({ do: 'break', link: 'data' });
  await pair.runFor(forMs);
  await pair.heal('data');
}

describe('the order to be outdated', () => {
  const dataDelayMs = 100;
  for (let backMs = 0; backMs <= 3 * dataDelayMs; backMs += dataDelayMs / 2) {
    it(`outdate: a node goes on though its data link is cut for good ${String(backMs)} ms after it came back, whoever knew of a connection by then`, async () => {
      const pair = await pairWith(dataDelayMs, dataDelayMs);
      await loseDataFor(pair, 300);
      await pair.runFor(backMs);
      await pair.cut('data');
      await pair.until({ serving: 'alpha' }, { withinMs: 20_000 });
      pair.close();
    });
  }

  it('outdate: an order that a slow monitor link brings when the data link is whole again leaves the peer able to take over', async () => {
    const pair = await pairWith(20, 500);
    await loseDataFor(pair, 1_400);
    await pair.runFor(1_440);
    expect(pair.whole).to.equal(true);
    await pair.crash('alpha');
    await pair.until({ serving: 'beta' }, { withinMs: 20_000 });
    pair.close();
  });
});
