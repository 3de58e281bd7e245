import { expect } from 'chai';

import type { DetectorChoice } from '../../src/heartbeat/detector.ts';
import { Pair, deadlineMs, intervalMs } from './pair.ts';

const maxDeadlineMs = 4 * deadlineMs;
const adaptive: DetectorChoice = { kind: 'phi-accrual', maxDeadlineMs };
/** Whatever the links are like, it bears two deadlines and more. */
const patient: DetectorChoice = { ...adaptive, acceptablePauseMs: 2 * deadlineMs };

describe('HeartbeatMonitor, adapted while it runs', () => {
  let pair: Pair;
  beforeEach(() => {
    pair = new Pair();
  });
  afterEach(async () => {
    await pair.end();
    expect(pair.clock.pendingTimers).to.equal(0);
  });

  /** How long after its last sign of life a peer that dies is down. */
  async function detectionMs(detector: DetectorChoice): Promise<number> {
    const { alpha, beta } = await pair.steady({ detector });
    await pair.kill('beta', beta);
    const lastSeenMs = pair.clock.nowMs() - Math.min(...alpha.status().links.map((link) => link.lastSeenMs ?? 0));
    await pair.clock.until(() => alpha.peerState() === 'down', maxDeadlineMs + intervalMs);
    expect(alpha.verdict().rule).to.equal('watch.all');
    return pair.clock.nowMs() - lastSeenMs;
  }

  it('watch.all: an adaptive detector is as quick as the deadline on steady links', async () => {
    expect(await detectionMs(adaptive)).to.be.within(deadlineMs, deadlineMs + intervalMs);
  });

  it('watch.all: what a detector bears longer, the peer has longer, and its most and an interval at the very most', async () => {
    expect(await detectionMs(patient)).to.be.within(2 * deadlineMs, maxDeadlineMs + intervalMs);
  });

  it('watch.pause: an own pause teaches a detector nothing', async () => {
    const { alpha, beta } = await pair.steady({ detector: adaptive });
    for (let turn = 0; turn < 20; turn += 1) {
      await pair.clock.sleepThrough(2 * deadlineMs);
      await pair.clock.runFor(3 * intervalMs);
    }
    await pair.kill('beta', beta);
    const lastSeenMs = pair.clock.nowMs() - Math.min(...alpha.status().links.map((link) => link.lastSeenMs ?? 0));
    await pair.clock.until(() => alpha.peerState() === 'down', maxDeadlineMs + intervalMs);
    expect(pair.clock.nowMs() - lastSeenMs).to.be.within(deadlineMs, deadlineMs + intervalMs);
  });

  it('watch.live: the detector changes while it runs, and refuses what it cannot keep', async () => {
    const { alpha } = await pair.steady({ detector: adaptive });
    expect(() => alpha.configure({ deadlineMs: maxDeadlineMs + 1 })).to.throw(RangeError, 'maxDeadlineMs');
    alpha.configure({ deadlineMs: maxDeadlineMs + 1, detector: { kind: 'deadline' } });
    for (const link of pair.links) link.cut();
    await pair.clock.runFor(maxDeadlineMs - intervalMs);
    expect(alpha.peerState()).to.equal('suspect');
    await pair.clock.runFor(3 * intervalMs);
    expect(alpha.peerState()).to.equal('down');
  });

  it('watch.live: a pause with a limit ends by itself, and a peer that died meanwhile is down then', async () => {
    const { alpha, beta } = await pair.steady();
    const forMs = 10 * deadlineMs;
    alpha.pause('maintenance', { forMs });
    expect(alpha.status().pauses).to.deep.equal([{ because: 'maintenance', remainingMs: forMs }]);
    await pair.kill('beta', beta);
    await pair.clock.runFor(forMs - 1);
    expect([alpha.watchState(), alpha.peerState()]).to.deep.equal(['paused', 'suspect']);
    await pair.clock.runFor(intervalMs);
    expect([alpha.watchState(), alpha.peerState()]).to.deep.equal(['normal', 'down']);
    expect(alpha.status()).not.to.have.property('pauses');
  });

  it('watch.live: the last word about a pause counts, and one of others goes on', async () => {
    const { alpha } = await pair.steady();
    alpha.pause('a resync');
    alpha.pause('maintenance', { forMs: deadlineMs });
    alpha.pause('maintenance', { forMs: 3 * deadlineMs });
    await pair.clock.runFor(2 * deadlineMs);
    expect(alpha.status().pauses?.map(({ because }) => because)).to.deep.equal(['a resync', 'maintenance']);
    await pair.clock.runFor(2 * deadlineMs);
    expect(alpha.status().pauses).to.deep.equal([{ because: 'a resync', remainingMs: null }]);
    alpha.resume('a resync');
    expect(alpha.watchState()).to.equal('normal');
    for (const forMs of [0, -1, Number.NaN, Infinity]) expect(() => alpha.pause('x', { forMs })).to.throw(RangeError);
  });

  it('tells how good each link is: round trips, and what was lost', async () => {
    const { alpha } = await pair.steady();
    await pair.clock.runFor(100 * intervalMs);
    const net = alpha.quality().get('net');
    expect(net?.roundTripMs).to.include({ last: 2, smoothed: 2, jitter: 0 });
    expect(net?.roundTripMs?.p99).to.be.closeTo(2, 0.02);
    expect([net?.unanswered.lost, net?.missing.lost]).to.deep.equal([0, 0]);
    expect([...alpha.quality().keys()]).to.deep.equal(['net', 'line']);
  });
});
