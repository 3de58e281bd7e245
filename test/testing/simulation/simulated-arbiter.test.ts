import { expect } from 'chai';

import type { Arbiter } from '../../../src/arbiter/arbiter.ts';
import { noEpoch } from '../../../src/epoch.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { SimulatedArbiter } from '../../../src/testing/simulation/simulated-arbiter.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

const first = { number: 1, owner: 'alpha' };

describe('SimulatedArbiter', () => {
  let clock: VirtualClock;
  let counts: boolean;
  let abort: AbortController;

  beforeEach(() => {
    clock = new VirtualClock();
    counts = true;
    abort = new AbortController();
  });

  const reached = (arbiter: SimulatedArbiter, seed = 1): Arbiter =>
    arbiter.from({ node: 'alpha', random: new SeededRandom(seed), counts: () => counts });

  const outcome = async (promise: Promise<unknown>): Promise<'answered' | 'rejected' | 'waits'> => {
    let state: 'answered' | 'rejected' | 'waits' = 'waits';
    promise.then(
      () => (state = 'answered'),
      () => (state = 'rejected'),
    );
    await clock.drain();
    return state;
  };

  it('answers at once where it takes no time', async () => {
    expect(await outcome(reached(new SimulatedArbiter(clock, 0)).grant(noEpoch, first, abort.signal))).to.equal('answered');
  });

  it('takes up to its time there and as long back', async () => {
    const arbiter = new SimulatedArbiter(clock, 100);
    const times: number[] = [];
    for (let seed = 1; seed <= 50; seed += 1) {
      const beforeMs = clock.nowMs();
      await clock.settled(reached(arbiter, seed).current(abort.signal), 200);
      times.push(clock.nowMs() - beforeMs);
    }
    expect(Math.max(...times)).to.be.within(120, 200);
    expect(new Set(times).size).to.be.above(20);
  });

  it('loses questions, which then take no effect, and answers to those that did', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 50; seed += 1) {
      const arbiter = new SimulatedArbiter(clock, 0);
      arbiter.set({ reachable: true, lossPercent: 50 });
      const heard = await outcome(reached(arbiter, seed).grant(noEpoch, first, abort.signal));
      seen.add(`${heard}, ${(await arbiter.current()).number === 1 ? 'granted' : 'not granted'}`);
    }
    expect([...seen].sort()).to.deep.equal(['answered, granted', 'rejected, granted', 'rejected, not granted']);
  });

  it('is out of reach of one node, until it is mended', async () => {
    const arbiter = new SimulatedArbiter(clock, 0);
    arbiter.set({ reachable: false, lossPercent: 0 }, 'beta');
    const beta = arbiter.from({ node: 'beta', random: new SeededRandom(1), counts: () => true });
    expect(await outcome(reached(arbiter).current(abort.signal))).to.equal('answered');
    expect(await outcome(beta.current(abort.signal))).to.equal('rejected');
    arbiter.mend();
    expect(await outcome(beta.current(abort.signal))).to.equal('answered');
  });

  it('does nothing for a call that was given up on its way, nor for a process whose node has started again', async () => {
    for (const giveUp of [(): void => abort.abort(), (): void => void (counts = false)]) {
      abort = new AbortController();
      counts = true;
      const arbiter = new SimulatedArbiter(clock, 100);
      const asked = reached(arbiter).grant(noEpoch, first, abort.signal);
      asked.catch(() => undefined);
      giveUp();
      await clock.runFor(500);
      expect((await arbiter.current()).number).to.equal(0);
    }
  });
});
