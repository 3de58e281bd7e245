import { expect } from 'chai';

import { LifeWatch, LinkWatch, outstandingTokens } from '../../src/heartbeat/link-watch.ts';
import { watchTimes } from '../../src/heartbeat/options.ts';

const times = watchTimes({ intervalMs: 200, deadlineMs: 1_000 });
const adaptive = watchTimes({ intervalMs: 200, deadlineMs: 1_000, detector: { kind: 'phi-accrual', maxDeadlineMs: 3_000 } });
const nonce = '0123456789abcdef';

/** Gaps between signs of life: these in turn, so often. */
function gaps(times: number, ...turnMs: readonly number[]): readonly number[] {
  return Array.from({ length: times }, () => turnMs).flat();
}

describe('LifeWatch', () => {
  it('is down until it is heard, late after one and a half intervals, down beyond the deadline', () => {
    const watch = new LifeWatch(0);
    expect(watch.state(0, times)).to.equal('down');
    watch.heard(10);
    const states = [10, 310, 311, 1_010, 1_011].map((nowMs) => watch.state(nowMs, times));
    expect(states).to.deep.equal(['up', 'up', 'late', 'late', 'down']);
  });

  it('says when silence alone changes something', () => {
    const watch = new LifeWatch(0);
    watch.heard(10);
    expect([10, 310, 311, 1_010, 1_011].map((nowMs) => watch.nextThresholdMs(nowMs, times))).to.deep.equal([310, 310, 1_010, 1_010, null]);
  });

  it('ignores a sign of life older than the last', () => {
    const watch = new LifeWatch(0);
    watch.heard(500);
    watch.heard(100);
    expect([watch.lastSeenMs, watch.silentMs(600)]).to.deep.equal([500, 100]);
  });

  it('watch.pause: a fresh deadline begins, and what was late or down stays so until it is heard', () => {
    for (const [lookedMs, before] of [
      [100, 'up'],
      [400, 'late'],
      [1_500, 'down'],
    ] as const) {
      const watch = new LifeWatch(0);
      watch.heard(0);
      watch.freshen(9_000, lookedMs, times);
      expect([watch.silentMs(9_000), watch.state(9_000, times), watch.state(10_001, times)]).to.deep.equal([0, before, 'down']);
      watch.heard(9_100);
      expect(watch.state(9_100, times)).to.equal('up');
    }
  });

  it('watch.pause: what the drain brought counts, whatever the state was when the monitor last looked', () => {
    const watch = new LifeWatch(0);
    watch.heard(0);
    watch.heard(8_999);
    watch.freshen(9_000, 100, times);
    expect(watch.state(9_000, times)).to.equal('up');
  });

  it('watch.live: longer times make nothing better by themselves', () => {
    const watch = new LifeWatch(0);
    watch.heard(0);
    watch.hold(500, times);
    expect(watch.state(500, watchTimes({ intervalMs: 2_000, deadlineMs: 10_000 }))).to.equal('late');
  });

  it('timing.lease: bears the silence of a regular link for the deadline, of an irregular one for longer, of none for more than the most', () => {
    const borne = (gapsMs: readonly number[]): number => {
      const watch = new LifeWatch(0);
      watch.learnAnew(adaptive);
      let atMs = 0;
      for (const gapMs of [0, ...gapsMs]) watch.heard((atMs += gapMs));
      const borneMs = watch.borneMs(adaptive);
      expect([watch.state(atMs + borneMs, adaptive), watch.state(atMs + borneMs + 1, adaptive)]).to.deep.equal(['late', 'down']);
      expect(watch.nextThresholdMs(atMs + adaptive.intervalMs * 2, adaptive)).to.equal(atMs + borneMs);
      return borneMs;
    };
    expect(borne(gaps(20, 50))).to.be.within(1_000, 1_100);
    expect(borne(gaps(10, 100, 300))).to.be.within(1_001, 2_999);
    expect(borne(gaps(10, 0, 2_900))).to.equal(3_000);
  });

  it('watch.live: other times, and what was learnt is forgotten', () => {
    const watch = new LifeWatch(0);
    watch.learnAnew(adaptive);
    let atMs = 0;
    for (const gapMs of gaps(20, 0, 2_900)) watch.heard((atMs += gapMs));
    expect(watch.borneMs(adaptive)).to.equal(3_000);
    watch.learnAnew(times);
    expect(watch.borneMs(times)).to.equal(1_000);
  });
});

describe('LinkWatch', () => {
  it('watch.token: matches each answer once, by sequence and nonce', () => {
    const watch = new LinkWatch(0);
    const probe = watch.probe(100, nonce);
    expect(watch.answered({ ...probe, nonce: 'ffffffffffffffff' }, 101)).to.equal(null);
    expect(watch.answered({ ...probe, sequence: 2 }, 101)).to.equal(null);
    expect(watch.answered(probe, 104)).to.equal(100);
    expect(watch.answered(probe, 105)).to.equal(null);
    expect(watch.rttMs).to.equal(4);
  });

  it('forgets the oldest of too many tokens, and all with the connection', () => {
    const watch = new LinkWatch(0);
    const probes = Array.from({ length: outstandingTokens + 1 }, (_, at) => watch.probe(at, nonce));
    const answers = probes.map((probe) => watch.answered(probe, 1_000));
    expect(answers.filter((sentMs) => sentMs === null)).to.have.length(1);
    expect(answers[0]).to.equal(null);
    const last = watch.probe(2_000, nonce);
    watch.disconnected();
    expect(watch.answered(last, 2_001)).to.equal(null);
  });

  it('watch.token: is due each interval, and each twentieth of it while the link is late', () => {
    const watch = new LinkWatch(0);
    expect(watch.probeDueMs(0, times)).to.equal(0);
    watch.heard(0);
    watch.probe(0, nonce);
    expect(watch.probeDueMs(0, times)).to.equal(200);
    watch.probe(310, nonce);
    expect(watch.probeDueMs(310, times)).to.equal(320);
  });

  it('watch.token: is due no more often on a late link than that can carry, and as often as on any', () => {
    for (const [lateProbeMinMs, dueMs] of [
      [5, 320],
      [70, 380],
      [900, 510],
    ] as const) {
      const watch = new LinkWatch(0, lateProbeMinMs);
      watch.heard(0);
      watch.probe(310, nonce);
      expect(watch.probeDueMs(310, times), String(lateProbeMinMs)).to.equal(dueMs);
    }
  });

  it('takes a token of one start once, and in order', () => {
    const watch = new LinkWatch(0);
    const taken = [
      ['a', 1],
      ['a', 2],
      ['a', 2],
      ['a', 1],
      ['b', 1],
      ['b', 5],
      ['b', 4],
    ] as const;
    expect(taken.map(([run, sequence]) => watch.tokenIsFresh(run, sequence))).to.deep.equal([true, true, false, false, true, true, false]);
  });
});
