import { expect } from 'chai';

import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { maxDriftPpm } from '../../../src/testing/simulation/options.ts';
import { NodeClock } from '../../../src/testing/simulation/node-clock.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

describe('NodeClock', () => {
  let world: VirtualClock;
  let fired: string[];

  beforeEach(() => {
    world = new VirtualClock({ settles: 'promises' });
    fired = [];
  });

  it('reads as the world does without drift, to the last bit', async () => {
    await world.runFor(0.1 + 0.2);
    const clock = new NodeClock(world, 'alpha');
    for (let step = 0; step < 100; step += 1) {
      await world.runFor(0.1);
      expect(clock.nowMs()).to.equal(world.nowMs());
    }
  });

  it('runs at its own rate: a fast clock has seen more time, a slow one less', async () => {
    const [fast, slow] = [new NodeClock(world, 'fast', 500), new NodeClock(world, 'slow', -500)];
    await world.runFor(1_000_000);
    expect(fast.nowMs()).to.be.closeTo(1_000_500, 1e-3);
    expect(slow.nowMs()).to.be.closeTo(999_500, 1e-3);
  });

  it('changes its rate without a jump', async () => {
    const clock = new NodeClock(world, 'alpha', 500);
    await world.runFor(10_000);
    const before = clock.nowMs();
    clock.drift(-500);
    expect(clock.nowMs()).to.equal(before);
    await world.runFor(10_000);
    expect(clock.nowMs() - before).to.be.closeTo(9_995, 1e-3);
  });

  it('never fires a timer before its own time has come, at any rate', async () => {
    const random = new SeededRandom(3);
    const early: number[] = [];
    for (let round = 0; round < 200; round += 1) {
      const clock = new NodeClock(world, 'alpha', random.below(2 * maxDriftPpm + 1) - maxDriftPpm);
      const delayMs = random.fraction() * 5_000;
      const dueMs = clock.nowMs() + delayMs;
      clock.timer(delayMs, () => {
        fired.push('fired');
        if (clock.nowMs() < dueMs) early.push(dueMs - clock.nowMs());
      });
      await world.runFor(5_010);
    }
    expect(fired).to.have.length(200);
    expect(early).to.deep.equal([]);
  });

  it('stands still: what comes due fires after it resumes, late and in order', async () => {
    const clock = new NodeClock(world, 'alpha');
    for (const delayMs of [10, 20, 2_000]) clock.timer(delayMs, () => fired.push(`${delayMs}@${world.nowMs()}`));
    clock.pause();
    await world.runFor(1_000);
    expect(fired).to.deep.equal([]);
    expect(clock.nowMs(), 'time goes on').to.equal(1_000);
    clock.resume();
    await world.runFor(0);
    expect(fired).to.deep.equal(['10@1000', '20@1000']);
    await world.runFor(1_000);
    expect(fired).to.have.length(3);
  });

  it('does not fire what was cancelled while it stood still', async () => {
    const clock = new NodeClock(world, 'alpha');
    const timer = clock.timer(10, () => fired.push('cancelled'));
    clock.pause();
    await world.runFor(100);
    timer.cancel();
    clock.resume();
    await world.runFor(100);
    expect(fired).to.deep.equal([]);
  });

  it('does not drain while it stands still, and drains for two turns of its own timers', async () => {
    const clock = new NodeClock(world, 'alpha');
    clock.pause();
    void clock.drain().then(() => fired.push('drained'));
    await world.runFor(100);
    expect(fired).to.deep.equal([]);
    clock.resume();
    await world.runFor(0);
    expect(fired).to.deep.equal(['drained']);
  });

  it('of a suspended machine: monotonic time stands still, wall time goes on, and timers come that much later', async () => {
    for (const driftPpm of [0, 400, -400]) {
      fired = [];
      const clock = new NodeClock(world, 'alpha', driftPpm);
      const startMs = clock.nowMs();
      for (const delayMs of [500, 1_500, 10_000])
        clock.timer(delayMs, () => fired.push(`${String(delayMs)} at ${clock.nowMs().toFixed(0)}`));
      await world.runFor(1_000);
      const [monotonicMs, wallMs] = [clock.nowMs(), clock.wallMs()];
      clock.pause(true);
      await world.runFor(60_000);
      expect(clock.nowMs()).to.equal(monotonicMs);
      expect(clock.wallMs() - wallMs).to.equal(60_000);
      clock.resume();
      expect(clock.nowMs()).to.equal(monotonicMs);
      await world.runFor(499);
      expect(fired).to.have.length(1);
      await world.runFor(20_000);
      expect(fired).to.deep.equal([500, 1_500, 10_000].map((ms) => `${String(ms)} at ${(startMs + ms).toFixed(0)}`));
    }
  });

  it('has the process hear at once, or in turn with its timers after it stood still', async () => {
    const clock = new NodeClock(world, 'alpha');
    clock.hear(() => fired.push('at once'));
    clock.pause();
    clock.timer(10, () => fired.push('timer'));
    await world.runFor(20);
    clock.hear(() => fired.push('later'));
    await world.runFor(20);
    expect(fired).to.deep.equal(['at once']);
    clock.resume();
    expect(fired, 'not inside of resume').to.deep.equal(['at once']);
    await world.runFor(0);
    expect(fired).to.deep.equal(['at once', 'timer', 'later']);
  });

  it('fires nothing of the dead', async () => {
    const clock = new NodeClock(world, 'alpha');
    clock.timer(10, () => fired.push('ghost'));
    clock.pause();
    clock.timer(20, () => fired.push('held ghost'));
    await world.runFor(50);
    clock.dead = true;
    clock.resume();
    await world.runFor(100);
    expect(fired).to.deep.equal([]);
  });

  it('jumps its wall time alone', async () => {
    const [alpha, beta] = [new NodeClock(world, 'alpha'), new NodeClock(world, 'beta')];
    alpha.jumpWall(-60_000);
    await world.runFor(5);
    expect([alpha.nowMs(), beta.nowMs()]).to.deep.equal([5, 5]);
    expect(beta.wallMs() - alpha.wallMs()).to.equal(60_000);
  });

  it('labels its timers with its name', () => {
    new NodeClock(world, 'alpha').timer(1, () => undefined);
    expect(world.waiting().map(({ label }) => label)).to.deep.equal(['alpha']);
  });
});
