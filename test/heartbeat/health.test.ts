import { expect } from 'chai';

import { HealthWatch } from '../../src/heartbeat/health.ts';
import type { HealthAnswer, HealthProbe } from '../../src/heartbeat/health.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const everyMs = 1_000;
const deadlineMs = 400;
const ok: HealthAnswer = { state: 'ok' };

describe('HealthWatch', () => {
  let clock: VirtualClock;
  let watch: HealthWatch;
  let told: string[];

  beforeEach(() => {
    clock = new VirtualClock();
    told = [];
  });

  afterEach(async () => {
    await clock.settled(watch.close(), 10_000, 'the end of the watch');
    expect(clock.pendingTimers).to.equal(0);
  });

  function start(check: HealthProbe['check'], ...more: readonly HealthProbe[]): void {
    watch = new HealthWatch({ node: 'alpha', clock, probes: [{ name: 'web', everyMs, deadlineMs, check }, ...more] });
    watch.events.on('health:changed', ({ atMs, class: eventClass, node, probe, from, to }) =>
      told.push(`${String(atMs)} class ${String(eventClass)}: ${node} ${probe} ${from} ${to}`),
    );
    watch.start();
  }

  const result = (): unknown => watch.results()[0];

  it('checks at its pace from the start on, and keeps what was found last and since when', async () => {
    const beganMs: number[] = [];
    start(async () => {
      beganMs.push(clock.nowMs());
      return { state: 'ok', text: 'answers' };
    });
    expect(result()).to.deep.equal({ name: 'web', state: 'unknown', sinceMs: 0 });
    await clock.runFor(3_500);
    expect(beganMs).to.deep.equal([0, 1_000, 2_000, 3_000]);
    expect(result()).to.deep.equal({ name: 'web', state: 'ok', text: 'answers', sinceMs: 3_500 });
  });

  it('tells once that a probe fails, whatever it says, and once that it no longer does', async () => {
    let answer = ok;
    start(() => Promise.resolve(answer));
    await clock.runFor(1_500);
    answer = { state: 'failed', text: 'no route' };
    await clock.runFor(1_000);
    answer = { state: 'failed', text: 'no answer' };
    await clock.runFor(1_000);
    expect(result()).to.deep.equal({ name: 'web', state: 'failed', text: 'no answer', sinceMs: 1_500 });
    answer = ok;
    await clock.runFor(3_000);
    expect(told).to.deep.equal(['2000 class 1: alpha web ok failed', '4000 class 0: alpha web failed ok']);
  });

  it('counts a check that throws as failed, with its message, at once or later, and one that answers nonsense', async () => {
    const answers: (() => Promise<HealthAnswer>)[] = [
      () => {
        throw new Error('at once');
      },
      () => Promise.reject(new Error('later')),
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a user may throw anything
      () => Promise.reject('\u001B[2J'),
      () => Promise.resolve(undefined as unknown as HealthAnswer),
      () => Promise.resolve({ state: 'fine' } as unknown as HealthAnswer),
    ];
    start(() => answers.shift()?.() ?? Promise.resolve(ok));
    const texts: unknown[] = [];
    for (let check = 0; check < 5; check += 1) {
      await clock.runFor(check === 0 ? 500 : everyMs);
      const [{ state, text } = { state: 'unknown' }] = watch.results();
      expect(state).to.equal('failed');
      texts.push(text);
    }
    expect(texts.slice(0, 3)).to.deep.equal(['at once', 'later', '[2J']);
    expect(texts[4]).to.equal('the check answered with the state fine');
    expect(told).to.have.length(1);
  });

  it('counts a check as failed at its deadline, aborts it, and hears no later answer of it', async () => {
    const abortedMs: number[] = [];
    start(async (signal) => {
      signal.addEventListener('abort', () => abortedMs.push(clock.nowMs()));
      await new Promise<void>((resolve) => void clock.timer(700, resolve));
      return ok;
    });
    await clock.runFor(900);
    expect(abortedMs).to.deep.equal([400]);
    expect(result()).to.deep.equal({ name: 'web', state: 'failed', text: 'no answer within 400 ms', sinceMs: 500 });
    expect(told).to.deep.equal(['400 class 1: alpha web unknown failed']);
  });

  it('never runs two checks of a probe at once: one that never ends stays failed, is not piled upon, and keeps no other waiting', async () => {
    let running = 0;
    let others = 0;
    const other = async (): Promise<HealthAnswer> => {
      others += 1;
      return ok;
    };
    start(
      () => {
        running += 1;
        return new Promise(() => undefined);
      },
      { name: 'other', everyMs, deadlineMs, check: other },
    );
    await clock.runFor(60_500);
    expect([running, others]).to.deep.equal([1, 61]);
    expect(result()).to.include({ state: 'failed', sinceMs: 60_100 });
  });

  it('begins the next check at once where the last one took longer than its pace', async () => {
    const beganMs: number[] = [];
    start(async () => {
      beganMs.push(clock.nowMs());
      await new Promise<void>((resolve) => void clock.timer(1_300, resolve));
      return ok;
    });
    await clock.runFor(3_000);
    expect(beganMs).to.deep.equal([0, 1_300, 2_600]);
  });

  it('watch.pause: a deadline that passed while this process stood still begins anew', async () => {
    let answer: (found: HealthAnswer) => void = () => undefined;
    // A clock whose timers fire late, as after SIGSTOP.
    let lateMs = 0;
    const late = Object.assign(Object.create(clock) as VirtualClock, {
      nowMs: () => clock.nowMs() + lateMs,
      timer: (delayMs: number, fire: () => void) => clock.timer(delayMs, fire),
    });
    watch = new HealthWatch({
      node: 'alpha',
      clock: late,
      probes: [{ name: 'web', everyMs, deadlineMs, check: () => new Promise((resolve) => (answer = resolve)) }],
    });
    watch.start();
    await clock.runFor(300);
    lateMs = 5_000;
    await clock.runFor(300);
    expect(result()).to.include({ state: 'unknown' });
    answer(ok);
    await clock.runFor(0);
    expect(result()).to.include({ state: 'ok' });
  });

  it('aborts what runs when it is closed, and neither tells nor begins anything afterwards', async () => {
    let begun = 0;
    let aborted = false;
    start((signal) => {
      begun += 1;
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(new Error('given up'));
        });
      });
    });
    await clock.runFor(100);
    await watch.close();
    expect([aborted, begun, clock.pendingTimers]).to.deep.equal([true, 1, 0]);
    watch.start();
    await clock.runFor(10_000);
    expect([begun, told]).to.deep.equal([1, []]);
    expect(result()).to.include({ state: 'unknown' });
  });

  it('waits on the way out for a check that does not end by its signal, three seconds at most', async () => {
    start(() => new Promise(() => undefined));
    await clock.runFor(100);
    await clock.settled(watch.close(), 3_001, 'the end of the watch');
    expect(clock.nowMs()).to.equal(3_100);
  });

  it('refuses probes that make no sense', () => {
    start(() => Promise.resolve(ok));
    const check = (): Promise<HealthAnswer> => Promise.resolve(ok);
    const made = (...probes: readonly Partial<HealthProbe>[]) => {
      const full = probes.map((probe, index) => ({ name: `p${String(index)}`, everyMs, deadlineMs, check, ...probe }));
      return () => new HealthWatch({ node: 'alpha', clock, probes: full });
    };
    expect(made({ name: 'a b' })).to.throw(RangeError);
    expect(made({ name: '' })).to.throw(RangeError);
    expect(made({ name: 'x'.repeat(65) })).to.throw(RangeError);
    expect(made({ name: 'a' }, { name: 'a' })).to.throw(RangeError);
    expect(made({ everyMs: 0 })).to.throw(RangeError);
    expect(made({ deadlineMs: Infinity })).to.throw(RangeError);
    expect(made(...Array.from({ length: 17 }, () => ({})))).to.throw(RangeError);
    expect(made(...Array.from({ length: 16 }, () => ({})))).not.to.throw();
  });
});
