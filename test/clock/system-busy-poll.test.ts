import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect } from 'chai';

import { BusyPoll } from '../../src/clock/system-busy-poll.ts';

const forMs = 100;
const usPerMs = 1_000;

/** What part of the next so many ms the event loop does not sleep. */
async function awake(ms: number): Promise<number> {
  const before = performance.eventLoopUtilization();
  await sleep(ms);
  return performance.eventLoopUtilization(before).utilization;
}

describe('BusyPoll', () => {
  it('keeps the event loop awake for a while after something came in, and no longer', async () => {
    const poll = new BusyPoll(forMs * usPerMs);
    poll.woken();
    expect(await awake(forMs / 2), 'meanwhile').to.be.above(0.9);
    await sleep(forMs);
    expect(await awake(forMs / 2), 'afterwards').to.be.below(0.5);
  });

  it('begins anew each time', async () => {
    const poll = new BusyPoll(forMs * usPerMs);
    poll.woken();
    await sleep((forMs * 3) / 4);
    poll.woken();
    expect(await awake(forMs / 2)).to.be.above(0.9);
  });
});
