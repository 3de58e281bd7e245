import { expect } from 'chai';

import type { BlockDevice } from '../../src/device/block-device.ts';
import type { ResyncProgress } from '../../src/mirror/state.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4096;
const extent = 65_536;
const mebibyte = 1_048_576;

/** Notes which ranges of beta's element are written, and how. */
function noting(noted: string[], punchHole = false): (device: BlockDevice, what: string) => BlockDevice {
  return (device, what) => {
    if (what !== 'beta:disk') return device;
    return {
      ...device,
      capabilities: { ...device.capabilities, punchHole },
      write: (offsetBytes, from, options, done) => {
        noted.push(`write ${String(offsetBytes / extent)}+${String(from.byteLength / extent)}`);
        device.write(offsetBytes, from, options, done);
      },
      writeZeroes: (offsetBytes, lengthBytes, options, done) => {
        noted.push(`zeroes ${String(offsetBytes / extent)}+${String(lengthBytes / extent)}`);
        device.writeZeroes(offsetBytes, lengthBytes, options, done);
      },
    };
  };
}

/** Alpha went alone and wrote this; beta is about to come back. */
async function behind(pair: MirrorPair, write: () => Promise<void>): Promise<void> {
  pair.kill('beta');
  await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
  await pair.goAlone('alpha');
  await write();
  await pair.clock.settled(pair.open('beta'), 1_000, 'the start of beta');
}

describe('Extents of zeroes in a resync', () => {
  it('leave what is zero already as it is, so that a blank sparse file stays sparse', async () => {
    const noted: string[] = [];
    const pair = new MirrorPair({ sizeBytes: 4 * mebibyte, wrap: noting(noted) });
    pair.disks.alpha.contents.set(pattern(block, 7), 8 * extent);
    pair.disks.alpha.contents.set(pattern(block, 8), 10 * extent + block);
    await pair.start();
    expect(noted).to.deep.equal(['write 8+1', 'write 10+1']);
    expect(pair.identical).to.equal(true);
  });

  it('clear what the target holds there', async () => {
    const noted: string[] = [];
    const pair = new MirrorPair({ sizeBytes: mebibyte, wrap: noting(noted) });
    pair.disks.beta.contents.fill(9, 3 * extent, 4 * extent);
    await pair.start();
    expect(noted).to.deep.equal(['zeroes 0+16']);
    expect(pair.identical).to.equal(true);
  });

  it('become holes where the target can punch them', async () => {
    const noted: string[] = [];
    const pair = new MirrorPair({ sizeBytes: mebibyte, wrap: noting(noted, true) });
    pair.disks.alpha.contents.fill(1, 0, extent);
    await pair.start();
    expect(noted).to.have.members(['write 0+1', 'zeroes 1+15']);
  });

  it('never clear a newer write that comes while the target looks (resync.newer)', async () => {
    const pair = await new MirrorPair({ sizeBytes: 4 * mebibyte, completion: 3 }).start();
    await pair.write('alpha', 0, pattern(extent, 5));
    await behind(pair, () => pair.write('alpha', 0, new Uint8Array(extent)));
    await pair.until(() => pair.mirror('alpha').state().resync !== null, 'the resync');
    let wrote = 0;
    for (let at = 0; at < 40; at += 1) {
      pair.mirror('alpha').write(0, pattern(extent, 100 + at), {}, () => (wrote += 1));
      await pair.clock.runFor(1);
    }
    await pair.until(() => wrote === 40 && pair.mirror('beta').state().element === 'uptodate', 'the end');
    expect(pair.identical).to.equal(true);
    expect(pair.disks.beta.contents[0]).to.equal(139);
  });
});

describe('A resync', () => {
  it('stands still while it is paused, says why, and goes on (resync.progress, resync.target)', async () => {
    const pair = await new MirrorPair().start();
    pair.mirror('alpha').pauseResync('backup');
    await behind(pair, () => pair.write('alpha', 0, pattern(block, 3)));
    await pair.until(() => pair.mirror('alpha').state().connection === 'connected', 'the connection');
    await pair.write('alpha', mebibyte, pattern(block, 4));
    await pair.clock.runFor(60_000);
    expect(pair.mirror('alpha').state()).to.include({ resyncPaused: 'backup', dirtyBytes: extent, peerElement: 'inconsistent' });
    expect(pair.disks.beta.contents[mebibyte]).to.equal(4);
    pair.mirror('alpha').resumeResync();
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(pair.mirror('alpha').state().resyncPaused).to.equal(null);
    expect(pair.identical).to.equal(true);
  });

  it('keeps to its limits, which change while it runs, and tells how long the rest takes (resync.progress)', async () => {
    const pair = new MirrorPair({ sizeBytes: 32 * mebibyte, resync: { minBytesPerSecond: mebibyte, maxBytesPerSecond: 2 * mebibyte } });
    pair.disks.alpha.contents.fill(7);
    await pair.init();
    await pair.open('alpha');
    await pair.open('beta');
    let told: ResyncProgress | null = null;
    pair.mirror('alpha').events.on('resync:progressed', (event) => (told = event.progress));
    await pair.clock.runFor(6_000);
    const progress = pair.mirror('alpha').state().resync as ResyncProgress;
    expect(progress.bytesPerSecond).to.be.within(1.3 * mebibyte, 2.2 * mebibyte);
    expect(progress.remainingMs).to.be.within(8_000, 20_000);
    expect(told).to.deep.include({ totalBytes: 32 * mebibyte });
    pair.mirror('alpha').configureResync({ maxBytesPerSecond: null });
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync', 1_000);
    expect(() => pair.mirror('alpha').configureResync({ minBytesPerSecond: -1 })).to.throw(RangeError);
  });

  it('ends while the application never stops writing (resync.progress)', async () => {
    const pair = new MirrorPair({ sizeBytes: 16 * mebibyte, resync: { minBytesPerSecond: 4 * mebibyte, latencyTargetMs: 1 } });
    pair.disks.alpha.contents.fill(7);
    await pair.start();
    let writing = true;
    const again = (at: number): void => {
      if (!writing) return;
      const next = (): void => void pair.clock.timer(0.5, () => again(at + 1));
      pair.mirror('alpha').write((at * block) % (16 * mebibyte), pattern(block, 10 + (at % 90)), {}, next);
    };
    await behind(pair, async () => {
      for (let at = 0; at < 16 * mebibyte; at += extent) await pair.write('alpha', at, pattern(block, 9));
      for (let depth = 0; depth < 8; depth += 1) again(depth * 97);
    });
    await pair.until(() => pair.mirror('alpha').state().resync !== null, 'the beginning');
    const beganMs = pair.clock.nowMs();
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync', 10_000);
    expect(pair.clock.nowMs() - beganMs).to.be.within(2_000, 6_000);
    writing = false;
    await pair.flush('alpha');
    expect(pair.identical).to.equal(true);
  });

  it('goes on from where it was when its source dies, when its target dies, and when the link drops again and again (resync.progress)', async () => {
    const limits = { minBytesPerSecond: mebibyte, maxBytesPerSecond: 1.5 * mebibyte };
    const pair = new MirrorPair({ sizeBytes: 32 * mebibyte, resync: limits });
    pair.disks.alpha.contents.fill(7);
    await pair.init();
    await pair.open('alpha');
    await pair.open('beta');
    const dirty: number[] = [];
    const breaks: (() => Promise<unknown>)[] = [
      () => (pair.kill('alpha'), pair.open('alpha')),
      () => (pair.kill('beta'), pair.open('beta')),
      ...Array.from({ length: 4 }, () => async (): Promise<void> => {
        pair.link.cut();
        await pair.clock.runFor(1_500);
        pair.link.heal();
      }),
    ];
    for (const breaking of breaks) {
      await pair.until(() => pair.mirror('alpha').state().resync !== null, 'the connection');
      await pair.clock.runFor(2_500);
      dirty.push(pair.mirror('alpha').state().dirtyBytes);
      await breaking();
    }
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync', 20_000);
    expect(pair.identical).to.equal(true);
    const fell = dirty.every((bytes, at) => at === 0 || bytes < (dirty[at - 1] ?? 0));
    expect(fell, `dirty after each break: ${dirty.join(', ')}`).to.equal(true);
  });
});
