import { expect } from 'chai';

import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { TimerQueue } from '../../src/testing/timer-queue.ts';
import type { WaitingTimer } from '../../src/testing/timer-queue.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

async function rejection(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => expect.fail('it did not reject'),
    (error: unknown) => error as Error,
  );
}

describe('VirtualClock', () => {
  let clock: VirtualClock;
  let fired: string[];

  beforeEach(() => {
    clock = new VirtualClock({ settles: 'promises' });
    fired = [];
  });

  const set = (delayMs: number, name: string): { cancel(): void } =>
    clock.timer(delayMs, () => fired.push(`${name}@${clock.nowMs()}`), name);

  it('fires timers in the order of their due time, then in the order they were set', async () => {
    set(20, 'later');
    set(10, 'first');
    set(10, 'second');
    set(0, 'now');
    await clock.runFor(20);
    expect(fired).to.deep.equal(['now@0', 'first@10', 'second@10', 'later@20']);
  });

  it('moves time only as far as it is told, and no timer fires before', async () => {
    set(10.5, 'late');
    await clock.runFor(10);
    expect([clock.nowMs(), clock.pendingTimers, fired]).to.deep.equal([10, 1, []]);
    await clock.runFor(0.5);
    expect(fired).to.deep.equal(['late@10.5']);
  });

  it('takes a negative delay, or none that is a number, for none', async () => {
    set(-5, 'negative');
    set(Number.NaN, 'not a number');
    await clock.runFor(0);
    expect(fired).to.deep.equal(['negative@0', 'not a number@0']);
  });

  it('never fires a cancelled timer, and cancelling twice or late is harmless', async () => {
    const cancelled = set(10, 'cancelled');
    const late = set(5, 'fired');
    cancelled.cancel();
    cancelled.cancel();
    expect(clock.pendingTimers).to.equal(1);
    await clock.runFor(20);
    late.cancel();
    expect([fired, clock.pendingTimers]).to.deep.equal([['fired@5'], 0]);
  });

  it('lets all promises that are ready run between two timers', async () => {
    clock.timer(10, () => {
      void (async () => {
        for (let hop = 0; hop < 50; hop += 1) await Promise.resolve();
        fired.push('hops');
      })();
    });
    set(10, 'next');
    await clock.runFor(10);
    expect(fired).to.deep.equal(['hops', 'next@10']);
  });

  it('tells what waits, with labels, in the order it would fire', () => {
    set(20, 'b');
    set(10, 'a');
    set(20, 'c');
    expect(clock.waiting().map(({ label, dueMs }) => `${label}@${dueMs}`)).to.deep.equal(['a@10', 'b@20', 'c@20']);
  });

  it('fires a timer out of turn: time moves to it and never back', async () => {
    set(10, 'early');
    set(30, 'late');
    await clock.fire(clock.waiting()[1]!);
    expect([fired, clock.nowMs()]).to.deep.equal([['late@30'], 30]);
    await clock.runFor(0);
    expect([fired, clock.nowMs()]).to.deep.equal([['late@30', 'early@30'], 30]);
  });

  it('calls afterEvent after each timer, once what it set off has run, and ends the run with what it throws', async () => {
    let settled = 0;
    let events = 0;
    clock = new VirtualClock({
      settles: 'promises',
      afterEvent: () => {
        events += 1;
        expect(settled).to.equal(events);
        if (events === 2) throw new Error('broken');
      },
    });
    const work = (): void => void Promise.resolve().then(() => (settled += 1));
    for (const delayMs of [1, 2, 3]) clock.timer(delayMs, work);
    expect((await rejection(clock.runFor(10))).message).to.equal('broken');
    expect([events, clock.nowMs(), clock.pendingTimers]).to.deep.equal([2, 2, 1]);
  });

  it('runs the next timer alone, or moves on to the limit where none is due', async () => {
    set(10, 'only');
    expect(await clock.runNext(9)).to.equal(false);
    expect([fired, clock.nowMs()]).to.deep.equal([[], 9]);
    expect(await clock.runNext(10)).to.equal(true);
    expect(await clock.runNext(8)).to.equal(false);
    expect([fired, clock.nowMs()]).to.deep.equal([['only@10'], 10]);
  });

  it('waits for a condition and for a promise, and no longer than it may', async () => {
    set(10, 'ten');
    await clock.until(() => fired.length === 1, 10);
    expect(clock.nowMs()).to.equal(10);
    const answer = new Promise<number>((resolve) => clock.timer(5, () => resolve(7)));
    expect(await clock.settled(answer, 5)).to.equal(7);
    clock.timer(100, () => undefined);
    expect((await rejection(clock.until(() => false, 50, 'rain'))).message).to.equal('rain did not hold within 50 ms of virtual time');
  });

  it('fires late what came due while the process stood still', async () => {
    set(10, 'due');
    await clock.sleepThrough(100);
    expect(fired).to.deep.equal(['due@100']);
  });

  it('keeps wall time apart from monotonic time', async () => {
    clock.jumpWall(-3_600_000);
    await clock.runFor(5);
    expect([clock.nowMs(), clock.wallMs()]).to.deep.equal([5, 1_000_000_000_005 - 3_600_000]);
  });

  it('serves what comes from outside for two turns of the event loop where it settles by turns', async () => {
    clock = new VirtualClock();
    clock.timer(1, () => setImmediate(() => fired.push('from outside')));
    clock.timer(1, () => fired.push('next'));
    await clock.runFor(1);
    expect(fired).to.deep.equal(['from outside', 'next']);
  });
});

describe('TimerQueue', () => {
  it('gives the same as a sorted list, whatever is added and removed', () => {
    const random = new SeededRandom(1);
    const queue = new TimerQueue();
    let model: WaitingTimer[] = [];
    for (let step = 0; step < 5_000; step += 1) {
      const dice = random.below(10);
      if (dice < 5) model.push(queue.add(random.below(500), () => undefined, ''));
      else if (model.length > 0) {
        const removed = dice < 8 ? model[random.below(model.length)]! : queue.first()!;
        queue.remove(removed);
        model = model.filter((timer) => timer !== removed);
      }
      const [first] = [...model].sort((one, other) => one.dueMs - other.dueMs || one.order - other.order);
      expect(queue.first()).to.equal(first);
      expect(queue.size).to.equal(model.length);
    }
    expect(queue.sorted()).to.have.members(model);
  });
});
