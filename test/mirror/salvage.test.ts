import { expect } from 'chai';

import type { BlockDevice } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { PreImageLog } from '../../src/mirror/pre-image-log.ts';
import type { PreImageHeader } from '../../src/mirror/pre-image-log.ts';
import type { OpenSalvage } from '../../src/mirror/options.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';
import type { NodeName } from './support/mirror-pair.ts';

const block = 4096;
const extent = 65_536;
const nodes: readonly NodeName[] = ['alpha', 'beta'];

/** Files in memory that outlive the mirrors that have them open, and may have room for so many extents only. */
class Files {
  readonly files = new Map<string, MemoryDevice>();
  roomBytes = Infinity;
  /** The disk answers no write of the first block, which tells that the file is complete. */
  hangs = false;

  readonly open: OpenSalvage = (file, sizeBytes) => {
    const known = this.files.get(file);
    const device = known ?? new MemoryDevice({ sizeBytes });
    this.files.set(file, device);
    return Promise.resolve({ device: this.#bounded(device), created: !known });
  };

  async log(file: string): Promise<PreImageLog> {
    const log = await PreImageLog.open(this.files.get(file)!);
    if (!log) throw new Error(`${file} is no salvage file`);
    return log;
  }

  #bounded(device: MemoryDevice): BlockDevice {
    return {
      sizeBytes: device.sizeBytes,
      blockSizeBytes: device.blockSizeBytes,
      capabilities: device.capabilities,
      read: (offsetBytes, into, done) => device.read(offsetBytes, into, done),
      write: (offsetBytes, from, options, done) => {
        if (this.hangs && offsetBytes < block) return;
        if (offsetBytes + from.byteLength > this.roomBytes) done(new HotMirrorError('HM_NO_SPACE', 'the disk is full'));
        else device.write(offsetBytes, from, options, done);
      },
      flush: (done) => device.flush(done),
      trim: (offsetBytes, lengthBytes, done) => device.trim(offsetBytes, lengthBytes, done),
      writeZeroes: (offsetBytes, lengthBytes, options, done) => device.writeZeroes(offsetBytes, lengthBytes, options, done),
      close: () => Promise.resolve(),
    };
  }
}

/** Alpha wrote the first and third extent alone, beta the first and fifth. */
async function split(files: Files, limits: { readonly resyncWindowBytes?: number } = {}): Promise<MirrorPair> {
  const pair = await new MirrorPair({ sizeBytes: 8 * extent, openSalvage: files.open, limits: { retryMaxMs: 200, ...limits } }).start();
  await pair.write('alpha', 2 * extent, pattern(block, 8));
  await pair.flush('alpha');
  pair.link.cut();
  await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
  const { connectionId } = pair.mirror('alpha').state();
  await pair.clock.settled(pair.mirror('alpha').goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }), 1_000);
  await pair.clock.settled(pair.mirror('beta').seal(), 1_000);
  await pair.clock.settled(pair.mirror('beta').promote({ epoch: { number: 2, owner: 'beta' }, alone: true }), 1_000);
  for (const at of [0, 2]) await pair.write('alpha', at * extent, pattern(block, 1));
  for (const at of [0, 4]) await pair.write('beta', at * extent, pattern(block, 2));
  pair.link.heal();
  await pair.until(() => nodes.every((node) => pair.mirror(node).state().split !== null), 'split brain');
  return pair;
}

function giveWay(pair: MirrorPair, salvage: string): Promise<HotMirrorError | null> {
  const { split: seen } = pair.mirror('beta').state();
  const order = { survivor: 'alpha', judged: seen?.judged ?? {}, salvage };
  return pair.clock.settled(
    pair
      .mirror('beta')
      .resolve(order)
      .then(
        () => null,
        (error: unknown) => error as HotMirrorError,
      ),
    5_000,
  );
}

/** The survivor's disk with the file laid over it. */
async function restored(pair: MirrorPair, log: PreImageLog): Promise<Uint8Array> {
  const image = pair.disks.alpha.contents.slice();
  for await (const { extent: at, bytes } of log.images()) image.set(bytes, at * extent);
  return image;
}

describe('salvage (lineage.resolve)', () => {
  it('keeps what is overwritten: laid over the survivor it is the disk that gave way', async () => {
    const files = new Files();
    const pair = await split(files);
    const before = pair.disks.beta.contents.slice();
    expect(await giveWay(pair, 'kept')).to.equal(null);
    // What beta alone holds is there before anything is copied.
    expect((await files.log('kept')).count).to.equal(2);
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(pair.identical).to.equal(true);
    const log = await files.log('kept');
    expect([log.count, log.header.kind, log.header.finished]).to.deep.equal([3, 'salvage', true]);
    expect(Buffer.compare(await restored(pair, log), before)).to.equal(0);
  });

  it('is durable before the copy overwrites anything, at every moment', async () => {
    const files = new Files();
    const pair = await split(files, { resyncWindowBytes: extent });
    const before = pair.disks.beta.contents.slice();
    expect(await giveWay(pair, 'kept')).to.equal(null);
    while (pair.mirror('beta').state().element !== 'uptodate') {
      const image = pair.disks.beta.contents.slice();
      for await (const { extent: at, bytes } of (await files.log('kept')).images()) image.set(bytes, at * extent);
      expect(Buffer.compare(image, before)).to.equal(0);
      await pair.clock.runFor(2);
    }
  });

  it('goes on in the same file after a crash of the node that gave way', async () => {
    const files = new Files();
    const pair = await split(files, { resyncWindowBytes: extent });
    const before = pair.disks.beta.contents.slice();
    expect(await giveWay(pair, 'kept')).to.equal(null);
    await pair.until(() => pair.mirror('beta').state().element === 'inconsistent', 'the copy');
    pair.kill('beta');
    await pair.open('beta');
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(Buffer.compare(await restored(pair, await files.log('kept')), before)).to.equal(0);
  });

  it('that has no room leaves the element as it is, and does not give way', async () => {
    const files = new Files();
    files.roomBytes = 3 * extent;
    const pair = await split(files);
    const before = pair.disks.beta.contents.slice();
    // Two extents of 68 KiB and a header of 8 KiB: one fits.
    files.roomBytes = 2 * block + 2 * extent;
    expect(await giveWay(pair, 'kept')).to.include({ code: 'HM_NO_SPACE' });
    expect(pair.mirror('beta').snapshot().metadata.gaveWay).to.equal(null);
    await pair.clock.runFor(5_000);
    expect(Buffer.compare(pair.disks.beta.contents, before)).to.equal(0);
    // With room the same command goes on in the same file.
    files.roomBytes = Infinity;
    expect(await giveWay(pair, 'kept')).to.equal(null);
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(Buffer.compare(await restored(pair, await files.log('kept')), before)).to.equal(0);
  });

  it('whose disk fills up later stops the copy before it overwrites what is not kept, and goes on when there is room', async () => {
    const files = new Files();
    const pair = await split(files);
    const before = pair.disks.beta.contents.slice();
    files.roomBytes = 2 * block + 2 * (block + extent);
    expect(await giveWay(pair, 'kept')).to.equal(null);
    for (let at = 0; at < 5_000; at += 1) {
      await pair.clock.runFor(1);
      // What the salvage file cannot hold says nothing of the element.
      expect(pair.mirror('alpha').state().peerElement).not.to.equal('failed');
    }
    expect(pair.mirror('beta').state().element).to.equal('inconsistent');
    expect(Buffer.compare(pair.disks.beta.contents.subarray(2 * extent, 3 * extent), before.subarray(2 * extent, 3 * extent))).to.equal(0);
    files.roomBytes = Infinity;
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(Buffer.compare(await restored(pair, await files.log('kept')), before)).to.equal(0);
  });

  it('whose disk hangs keeps no element from being complete', async () => {
    const files = new Files();
    const pair = await split(files);
    expect(await giveWay(pair, 'kept')).to.equal(null);
    files.hangs = true;
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the resync');
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
    expect((await files.log('kept')).header.finished).to.equal(false);
  });

  it('leaves a file of something else alone', async () => {
    const files = new Files();
    const pair = await split(files);
    const other = new MemoryDevice({ sizeBytes: 2 ** 20 });
    other.contents.fill(7);
    files.files.set('other', other);
    expect(await giveWay(pair, 'other')).to.include({ code: 'HM_REFUSED', rule: 'lineage.resolve' });
    expect(other.contents.every((byte) => byte === 7)).to.equal(true);
    expect(pair.mirror('beta').snapshot().metadata.gaveWay).to.equal(null);
  });
});

describe('a log of pre-images', () => {
  const header: PreImageHeader = {
    ...{ kind: 'salvage' as const, id: 'a'.repeat(16), mirror: 'm0', node: 'beta', mirrorId: 'b'.repeat(32), generation: 'c'.repeat(16) },
    ...{ sizeBytes: 2 * extent + block, extentBytes: extent, time: '2026-01-01T00:00:00.000Z', finished: false },
  };

  const device = (): MemoryDevice => new MemoryDevice({ sizeBytes: 2 * block + 3 * (block + extent) });

  it('is read again as it was written, the last and shorter extent too', async () => {
    const file = device();
    const log = await PreImageLog.create(file, header);
    await log.add([
      { extent: 2, bytes: pattern(block, 2) },
      { extent: 0, bytes: pattern(extent, 1) },
    ]);
    const again = await PreImageLog.open(file);
    expect(again?.header).to.deep.equal(header);
    expect([...(again?.runs() ?? [])]).to.deep.equal([
      { first: 0, count: 1 },
      { first: 2, count: 1 },
    ]);
    expect((await again?.image(2))?.bytes).to.deep.equal(pattern(block, 2));
    expect(await again?.image(1)).to.equal(null);
  });

  it('skips a record that a crash tore, and tells of one that was durable and is damaged', async () => {
    const file = device();
    const log = await PreImageLog.create(file, header);
    await log.add([{ extent: 0, bytes: pattern(extent, 1) }]);
    await log.add([{ extent: 1, bytes: pattern(extent, 3) }]);
    const torn = file.contents.slice();
    torn[2 * block + 2 * block + extent + 100] = 0xee;
    const after = await PreImageLog.open(new MemoryDevice({ sizeBytes: file.sizeBytes, contents: torn }));
    expect([after?.count, after?.damaged]).to.deep.equal([1, []]);
    const damaged = file.contents.slice();
    damaged[2 * block + 5] = 0xee;
    const found = await PreImageLog.open(new MemoryDevice({ sizeBytes: file.sizeBytes, contents: damaged }));
    expect([found?.count, found?.damaged]).to.deep.equal([1, [0]]);
  });

  it('takes no record of an earlier log in the same place for its own, and no more than it has room for', async () => {
    const file = device();
    await (await PreImageLog.create(file, header)).add([{ extent: 0, bytes: pattern(extent, 1) }]);
    const log = await PreImageLog.create(file, { ...header, id: 'd'.repeat(16) });
    expect((await PreImageLog.open(file))?.count).to.equal(0);
    for (const at of [0, 1]) await log.add([{ extent: at, bytes: pattern(extent, 4) }]);
    await log.add([{ extent: 2, bytes: pattern(block, 4) }]);
    const refused = await log.add([{ extent: 2, bytes: pattern(block, 4) }]).catch((error: unknown) => error);
    expect(refused).to.include({ code: 'HM_NO_SPACE' });
  });
});
