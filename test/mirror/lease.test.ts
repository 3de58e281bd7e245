import { expect } from 'chai';

import { Lease } from '../../src/mirror/lease.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

describe('Lease (serve.lease)', () => {
  it('counts from the sending of the probe and ends by itself', async () => {
    const clock = new VirtualClock();
    const lease = new Lease(clock, 750, 1_000);
    expect(lease.valid()).to.equal(false);
    await clock.runFor(500);
    expect(lease.renew(100)).to.equal(true);
    expect(lease.valid()).to.equal(true);
    await clock.runFor(350);
    expect(lease.valid()).to.equal(false);
  });

  it('is never made shorter by an older answer', () => {
    const lease = new Lease(new VirtualClock({ startMs: 1_000 }), 750, 1_000);
    expect(lease.renew(900)).to.equal(true);
    expect(lease.renew(800)).to.equal(false);
    expect(lease.untilMs).to.equal(1_650);
  });

  it('ends when wall and monotonic clock part, and counts no probe from before', async () => {
    const clock = new VirtualClock({ startMs: 1_000 });
    const lease = new Lease(clock, 750, 1_000);
    lease.renew(1_000);
    clock.jumpWall(10_000);
    expect(lease.valid()).to.equal(false);
    await clock.runFor(100);
    expect(lease.renew(999)).to.equal(false);
    expect(lease.valid()).to.equal(false);
    expect(lease.renew(1_050)).to.equal(true);
    expect(lease.valid()).to.equal(true);
  });

  it('ends for any pause after which it would outlast the deadline of the peer, many short ones included', () => {
    for (const pausesMs of [[84], [30, 30, 30]]) {
      const clock = new VirtualClock({ startMs: 1_000 });
      const lease = new Lease(clock, 750, 1_000);
      lease.renew(1_000);
      const valid = pausesMs.map((ms) => {
        clock.jumpWall(ms);
        return lease.valid();
      });
      expect(valid.at(-1)).to.equal(false);
    }
  });

  it('lasts while a clock is corrected by little', () => {
    const clock = new VirtualClock({ startMs: 1_000 });
    const lease = new Lease(clock, 3_750, 5_000);
    for (let probe = 1_000; probe < 1_100; probe += 1) {
      clock.jumpWall(50);
      expect(lease.renew(probe)).to.equal(true);
      expect(lease.valid()).to.equal(true);
    }
  });
});
