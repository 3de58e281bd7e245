import { expect } from 'chai';

import type { AllocationPiece, BlockDevice } from '../../src/device/block-device.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { newRequest, untouchedRun } from '../../src/mirror/request.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';
import type { MirrorPairOptions, NodeName } from './support/mirror-pair.ts';

const block = 4096;
const extent = 65_536;
const mebibyte = 1_048_576;
const sizeBytes = 4 * mebibyte;
const zeroes = new Uint8Array(block);

/** What the devices of a pair were asked, and how they fail. */
class Observed {
  readonly reads: string[] = [];
  readonly beta: string[] = [];
  failing: NodeName | null = null;
  /** Only this device tells of holes. */
  readonly wrap = (device: BlockDevice, what: string): BlockDevice => {
    if (!what.endsWith(':disk')) return device;
    const contents = new Uint8Array(block);
    const isHole = (at: number): boolean => {
      device.read(at, contents, () => undefined);
      return Buffer.compare(contents, zeroes) === 0;
    };
    return {
      ...device,
      capabilities: { ...device.capabilities, punchHole: true },
      read: (offsetBytes, into, done) => {
        if (what === 'alpha:disk') this.reads.push(`${String(offsetBytes / extent)}+${String(into.byteLength / extent)}`);
        device.read(offsetBytes, into, done);
      },
      write: (offsetBytes, from, options, done) => {
        if (what === 'beta:disk') this.beta.push(`write ${String(offsetBytes / extent)}+${String(from.byteLength / extent)}`);
        if (this.failing && what === `${this.failing}:disk`) done(new HotMirrorError('HM_IO_WRITE', 'worn out'));
        else device.write(offsetBytes, from, options, done);
      },
      writeZeroes: (offsetBytes, lengthBytes, options, done) => {
        if (what === 'beta:disk') this.beta.push(`zeroes ${String(offsetBytes / extent)}+${String(lengthBytes / extent)}`);
        device.writeZeroes(offsetBytes, lengthBytes, options, done);
      },
      allocation: (offsetBytes, lengthBytes, mostPieces) => {
        const pieces: { lengthBytes: number; hole: boolean }[] = [];
        for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += block) {
          const hole = isHole(at);
          const last = pieces.at(-1);
          if (last?.hole === hole) last.lengthBytes += block;
          else if (pieces.length < mostPieces) pieces.push({ lengthBytes: block, hole });
          else break;
        }
        return pieces;
      },
    };
  };
}

/** In blocks; those of holes in brackets. */
function told(pieces: readonly AllocationPiece[]): string {
  return pieces.map((piece) => (piece.hole ? `[${String(piece.lengthBytes / block)}]` : String(piece.lengthBytes / block))).join(' ');
}

async function serving(observed = new Observed(), options: MirrorPairOptions = {}): Promise<MirrorPair> {
  const pair = await new MirrorPair({ sizeBytes, wrap: observed.wrap, ...options }).start();
  await pair.write('alpha', 2 * block, pattern(block, 7));
  return pair;
}

describe('What a mirror tells of its holes', () => {
  const all = (pair: MirrorPair, node: NodeName = 'alpha', mostPieces = 100): string =>
    told(pair.mirror(node).allocation(0, sizeBytes, mostPieces));

  it('is what its element tells, while this node serves from it', async () => {
    const pair = await serving();
    expect(all(pair)).to.equal('[2] 1 [1021]');
    expect(all(pair, 'alpha', 1)).to.equal('[2]');
    expect(told(pair.mirror('alpha').allocation(2 * block, 2 * block, 9))).to.equal('1 [1]');
    expect(all(pair, 'beta')).to.equal('1024');
  });

  it('is that all is data where the range is refused, or the mirror is closed', async () => {
    const pair = await serving();
    const mirror = pair.mirror('alpha');
    expect(told(mirror.allocation(sizeBytes, block, 9))).to.equal('1');
    expect(told(mirror.allocation(1, block, 9))).to.equal('1');
    expect(told(mirror.allocation(0, 0, 9))).to.equal('');
    const closed = mirror.close();
    expect(told(mirror.allocation(0, block, 9))).to.equal('1');
    await pair.clock.settled(closed, 60_000);
    expect(told(mirror.allocation(0, block, 9))).to.equal('1');
    expect(told(pair.make('alpha').allocation(0, block, 9))).to.equal('1');
  });

  it('counts as data what a request changes that is not complete, be it a hole already, and goes no further (write.degraded)', async () => {
    const pair = await serving();
    const mirror = pair.mirror('alpha');
    let ended = 0;
    mirror.writeZeroes(2 * block, block, {}, () => (ended += 1));
    mirror.write(10 * block, pattern(2 * block, 8), {}, () => (ended += 1));
    expect(all(pair)).to.equal('[2]');
    expect(told(mirror.allocation(2 * block, sizeBytes - 2 * block, 9))).to.equal('1');
    expect(told(mirror.allocation(11 * block, block, 9))).to.equal('1');
    expect(told(mirror.allocation(12 * block, block, 9))).to.equal('[1]');
    await pair.until(() => ended === 2, 'the requests');
    expect(all(pair)).to.equal('[10] 2 [1012]');
  });

  it('is that all is data once an answer would wait for evidence of ownership (serve.lease), and until the node is alone under a generation of its own (lineage.mint)', async () => {
    const pair = await serving();
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await pair.clock.runFor(5_000);
    expect(all(pair)).to.equal('1024');
    await pair.goAlone('alpha');
    await pair.write('alpha', 0, pattern(block, 5));
    expect(all(pair)).to.equal('1 [1] 1 [1021]');
  });

  it('is that all is data while the element of the peer is served through (write.error)', async () => {
    const observed = new Observed();
    const pair = await serving(observed);
    observed.failing = 'alpha';
    await pair.write('alpha', 0, pattern(block, 5));
    expect(pair.mirror('alpha').state().element).to.equal('failed');
    expect(all(pair)).to.equal('1024');
  });

  it('is found for the beginning of a range as far as no request touches it', () => {
    const random = new SeededRandom(5);
    for (let round = 0; round < 300; round += 1) {
      const requests = Array.from({ length: random.below(4) }, () =>
        random.below(5) === 0
          ? newRequest('flush', { done: () => undefined })
          : newRequest('zeroes', { offsetBytes: random.below(16), lengthBytes: 1 + random.below(4), done: () => undefined }),
      );
      const [offset, length] = [random.below(16), 1 + random.below(8)];
      const touches = (at: number): boolean => requests.some((one) => one.offsetBytes <= at && at < one.offsetBytes + one.lengthBytes);
      const run = untouchedRun([requests.slice(0, 2), requests.slice(2)], offset, length);
      expect(run.lengthBytes).to.be.within(1, length);
      expect(run.touched).to.equal(touches(offset));
      if (run.touched) continue;
      for (let at = offset; at < offset + run.lengthBytes; at += 1) expect(touches(at)).to.equal(false);
      if (run.lengthBytes < length) expect(touches(offset + run.lengthBytes)).to.equal(true);
    }
  });
});

describe('Holes of the source in a resync', () => {
  it('are not read, and travel as holes (resync.progress)', async () => {
    const observed = new Observed();
    const pair = new MirrorPair({ sizeBytes, wrap: observed.wrap });
    pair.disks.alpha.contents.set(pattern(block, 7), 20 * extent + block);
    pair.disks.alpha.contents.set(pattern(extent, 8), 40 * extent);
    pair.disks.beta.contents.fill(9);
    await pair.start();
    expect(pair.identical).to.equal(true);
    const readExtents = observed.reads.reduce((sum, read) => sum + Number(read.split('+')[1]), 0);
    expect([...new Set(observed.reads.map((read) => read.split('+')[0]))]).to.deep.equal(['20', '40']);
    expect(readExtents).to.be.below(40);
    expect(observed.beta.filter((one) => one.startsWith('write'))).to.deep.equal(['write 20+1', 'write 40+1']);
  });

  it('count also where the last extent of the mirror is a short one', async () => {
    const observed = new Observed();
    const pair = new MirrorPair({ sizeBytes: 2 * extent + 3 * block, wrap: observed.wrap });
    pair.disks.beta.contents.fill(9);
    await pair.start();
    expect(pair.identical).to.equal(true);
    expect(observed.reads).to.deep.equal([]);
  });

  it('never clear what is written meanwhile, whatever the order (resync.newer)', async () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const observed = new Observed();
      const random = new SeededRandom(seed);
      const pair = await new MirrorPair({ sizeBytes, wrap: observed.wrap, seed, resync: { maxBytesPerSecond: 8 * mebibyte } }).start();
      pair.kill('beta');
      await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
      await pair.goAlone('alpha');
      for (let count = 0; count < 32; count += 1) await pair.write('alpha', random.below(64) * extent, pattern(block, random.below(3)));
      await pair.clock.settled(pair.open('beta'), 1_000, 'the start of beta');
      await pair.until(() => pair.mirror('alpha').state().resync !== null, 'the resync');
      let [asked, ended] = [0, 0];
      while (pair.mirror('beta').state().element !== 'uptodate' || asked < 50) {
        asked += 1;
        const at = random.below(1024) * block;
        if (random.below(2) === 0) pair.mirror('alpha').write(at, pattern(block, 1 + random.below(200)), {}, () => (ended += 1));
        else pair.mirror('alpha').writeZeroes(at, block, {}, () => (ended += 1));
        await pair.clock.runFor(random.below(20));
      }
      await pair.until(() => ended === asked, 'the requests');
      expect(pair.identical, `seed ${String(seed)}`).to.equal(true);
    }
  });
});
