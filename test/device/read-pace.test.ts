import { expect } from 'chai';

import { ReadPace } from '../../src/device/read-pace.ts';

const blockBytes = 4096;
const fastMs = 0.005;
const slowMs = 0.2;

describe('Where the next read is made', () => {
  it('is here as long as reads take no longer than the page cache does', () => {
    const pace = new ReadPace();
    for (let nowMs = 0; nowMs < 10; nowMs += 1) {
      expect(pace.here(nowMs)).to.equal(true);
      pace.took(blockBytes, fastMs, nowMs);
    }
  });

  it('is the pool for a while after a read that took as long as a disk does', () => {
    const pace = new ReadPace();
    pace.took(blockBytes, slowMs, 100);
    expect([100, 109.9, 110].map((nowMs) => pace.here(nowMs))).to.deep.equal([false, false, true]);
  });

  it('is the pool for longer each time that the next try here is slow too, up to a bound', () => {
    const pace = new ReadPace();
    const asides: number[] = [];
    for (let tries = 0, nowMs = 0; tries < 7; tries += 1) {
      pace.took(blockBytes, slowMs, nowMs);
      const beganMs = nowMs;
      while (!pace.here(nowMs)) nowMs += 1;
      asides.push(nowMs - beganMs);
    }
    expect(asides).to.deep.equal([10, 20, 40, 80, 160, 200, 200]);
  });

  it('begins with the shortest while again once a try here was fast', () => {
    const pace = new ReadPace();
    pace.took(blockBytes, slowMs, 0);
    pace.took(blockBytes, slowMs, 10);
    pace.took(blockBytes, fastMs, 30);
    pace.took(blockBytes, slowMs, 31);
    expect([40.9, 41].map((nowMs) => pace.here(nowMs))).to.deep.equal([false, true]);
  });

  it('allows a long read more', () => {
    const pace = new ReadPace();
    pace.took(2 ** 20, 0.5, 0);
    expect(pace.here(0)).to.equal(true);
    pace.took(2 ** 20, 2, 0);
    expect(pace.here(0)).to.equal(false);
  });
});
