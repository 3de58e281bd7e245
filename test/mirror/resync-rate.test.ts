import { expect } from 'chai';

import { MovingRate, remainingMs } from '../../src/mirror/moving-rate.ts';
import { ResyncRate, checkedRate, defaultResyncRate, nextRate } from '../../src/mirror/resync-rate.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const limits = { minBytesPerSecond: 1_000_000, maxBytesPerSecond: 8_000_000, latencyTargetMs: 10 };
const extentBytes = 65_536;
const mebibyte = 1_048_576;

describe('nextRate (resync.progress)', () => {
  it('gives all there is while the application is idle, whatever came before', () => {
    expect(nextRate(1_000_000, { busy: false, latencyMs: null }, limits)).to.equal(8_000_000);
    expect(nextRate(1_000_000, { busy: false, latencyMs: null }, { ...limits, maxBytesPerSecond: null })).to.equal(Infinity);
  });

  it('begins at the least once the application writes, where there was no bound before', () => {
    expect(nextRate(Infinity, { busy: true, latencyMs: 1 }, { ...limits, maxBytesPerSecond: null })).to.equal(1_000_000);
  });

  it('halves while writes wait for too long and rises step by step while they do not, within its bounds', () => {
    const slow = { busy: true, latencyMs: 11 };
    const fast = { busy: true, latencyMs: 9 };
    expect(nextRate(4_000_000, slow, limits)).to.equal(2_000_000);
    expect(nextRate(4_000_000, fast, limits)).to.equal(5_000_000);
    expect(nextRate(4_000_000, { busy: true, latencyMs: null }, limits)).to.equal(4_000_000);
    let rate = 8_000_000;
    for (let step = 0; step < 20; step += 1) rate = nextRate(rate, slow, limits);
    expect(rate).to.equal(1_000_000);
    for (let step = 0; step < 20; step += 1) rate = nextRate(rate, fast, limits);
    expect(rate).to.equal(8_000_000);
  });

  it('refuses limits that make no sense', () => {
    for (const wrong of [{ minBytesPerSecond: 0 }, { maxBytesPerSecond: 1 }, { latencyTargetMs: NaN }, { latencyTargetMs: Infinity }])
      expect(() => checkedRate({ ...defaultResyncRate, ...wrong })).to.throw(RangeError);
    expect(checkedRate(defaultResyncRate)).to.equal(defaultResyncRate);
  });
});

/** What passes in a second of pieces that are sent as soon as they may be. */
async function passing(clock: VirtualClock, rate: ResyncRate, forMs: number): Promise<number> {
  const untilMs = clock.nowMs() + forMs;
  let bytes = 0;
  while (clock.nowMs() < untilMs) {
    const waitMs = rate.waitMs();
    if (waitMs > 0) {
      await clock.runFor(waitMs);
      continue;
    }
    const piece = rate.extents(extentBytes, 16) * extentBytes;
    rate.sent(piece);
    bytes += piece;
    if (bytes > 1_000 * mebibyte) return Infinity;
  }
  return bytes;
}

/** Writes that each take so long, one after the other. */
async function write(clock: VirtualClock, rate: ResyncRate, latencyMs: number, forMs: number): Promise<void> {
  const untilMs = clock.nowMs() + forMs;
  while (clock.nowMs() < untilMs) {
    rate.wrote();
    const began = rate.writeBegan();
    await clock.runFor(latencyMs);
    rate.writeEnded(began);
  }
}

describe('ResyncRate (resync.progress)', () => {
  it('holds nothing back without an application and without a bound', async () => {
    const clock = new VirtualClock();
    expect(await passing(clock, new ResyncRate(clock, defaultResyncRate), 1_000)).to.equal(Infinity);
  });

  it('keeps to its bound without an application', async () => {
    const clock = new VirtualClock();
    const bytes = await passing(clock, new ResyncRate(clock, limits), 4_000);
    expect(bytes / 4).to.be.within(7_800_000, 8_300_000);
  });

  it('goes down to the least, and no further, while writes never end', async () => {
    const clock = new VirtualClock();
    const rate = new ResyncRate(clock, limits);
    rate.writeBegan();
    await passing(clock, rate, 2_000);
    const bytes = await passing(clock, rate, 4_000);
    expect(bytes / 4).to.be.within(950_000, 1_100_000);
  });

  it('sends small pieces while it goes slowly, so that no write waits long behind one', async () => {
    const clock = new VirtualClock();
    const rate = new ResyncRate(clock, limits);
    expect(rate.extents(extentBytes, 16)).to.equal(16);
    rate.writeBegan();
    await clock.runFor(1_000);
    for (let decision = 0; decision < 10; decision += 1) {
      await clock.runFor(100);
      rate.waitMs();
    }
    expect(rate.extents(extentBytes, 16)).to.equal(1);
  });

  it('follows the latency of the writes, and takes other limits while it runs', async () => {
    const clock = new VirtualClock();
    const rate = new ResyncRate(clock, { ...limits, maxBytesPerSecond: null });
    const step = async (latencyMs: number): Promise<number> => {
      await write(clock, rate, latencyMs, 1_000);
      return passing(clock, rate, 100);
    };
    await step(1);
    const first = await step(1);
    for (let second = 0; second < 10; second += 1) await step(1);
    const later = await step(1);
    expect(later).to.be.above(first * 2);
    for (let second = 0; second < 10; second += 1) await step(40);
    expect(await step(40)).to.be.below(later / 2);
    rate.limits = { ...limits, minBytesPerSecond: 6_000_000, latencyTargetMs: 1 };
    await write(clock, rate, 40, 200);
    expect((await passing(clock, rate, 1_000)) / 1_000).to.be.within(5_500, 8_300);
  });

  it('takes an application that fell silent for none, and so a connection that is lost', async () => {
    const clock = new VirtualClock();
    const rate = new ResyncRate(clock, limits);
    rate.writeBegan();
    await passing(clock, rate, 1_000);
    rate.connectionLost();
    await clock.runFor(1_000);
    expect((await passing(clock, rate, 2_000)) / 2).to.be.within(7_500_000, 8_500_000);
  });
});

describe('MovingRate', () => {
  it('is that of the last ten seconds, not of the whole way', () => {
    const rate = new MovingRate(0);
    let done = 0;
    for (let second = 1; second <= 60; second += 1) {
      done += second <= 30 ? 100 : 10;
      rate.sample(second * 1_000, done);
    }
    expect(rate.bytesPerSecond(60_000, done)).to.equal(10);
    expect(rate.bytesPerSecond(70_000, done)).to.equal(5);
  });

  it('gives no time for the rest while nothing is known', () => {
    expect(new MovingRate(5).bytesPerSecond(5, 0)).to.equal(0);
    expect(remainingMs(100, 0)).to.equal(null);
    expect(remainingMs(100, 50)).to.equal(2_000);
  });
});
