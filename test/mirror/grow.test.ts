import { expect } from 'chai';

import type { BlockDevice } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import { elementMetadataBytes } from '../../src/mirror/create-element.ts';
import { defaultExtentBytes } from '../../src/mirror/metadata.ts';
import { ElementStore } from '../../src/mirror/element-store.ts';
import type { Growth } from '../../src/mirror/grow.ts';
import { MirrorLink } from '../../src/mirror/mirror-link.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';
import type { NodeName } from './support/mirror-pair.ts';

const block = 4096;
const mebibyte = 1_048_576;
const epoch = { number: 1, owner: 'alpha' };

/** A pair with a mirror of 1 MiB on devices of which more can be seen once an operator has enlarged them. */
class GrowingPair extends MirrorPair {
  readonly #seenBytes: Record<string, number>;

  constructor() {
    const seenBytes: Record<string, number> = { 'alpha:disk': mebibyte, 'beta:disk': mebibyte };
    const wrap = (device: BlockDevice, what: string): BlockDevice => {
      let sizeBytes = seenBytes[what] ?? device.sizeBytes;
      return {
        ...device,
        get sizeBytes() {
          return sizeBytes;
        },
        refreshSize() {
          sizeBytes = seenBytes[what] ?? sizeBytes;
          return Promise.resolve();
        },
      };
    };
    super({ sizeBytes: 3 * mebibyte, wrap });
    this.#seenBytes = seenBytes;
    this.disks.alpha.contents.fill(5);
    this.disks.beta.contents.fill(6);
  }

  override async init(): Promise<this> {
    const { metadata, random } = this;
    await MirrorLink.create({ kind: 'data', sizeBytes: mebibyte, metadata: metadata.alpha, random, epoch });
    await MirrorLink.create({ kind: 'blank', sizeBytes: mebibyte, metadata: metadata.beta, random });
    return this;
  }

  enlarge(node: NodeName, sizeBytes: number): void {
    this.#seenBytes[`${node}:disk`] = sizeBytes;
  }

  grow(node: NodeName): Promise<Growth> {
    return this.clock.settled(this.mirror(node).grow(), 60_000, 'the growth');
  }

  whole(node: NodeName): Promise<void> {
    return this.until(() => this.mirror(node).state().peerElement === 'uptodate', 'both elements to be the same');
  }

  /** Whether both elements hold the same up to there. */
  equal(bytes: number): boolean {
    const [alpha, beta] = [this.disks.alpha.contents, this.disks.beta.contents];
    return Buffer.compare(alpha.subarray(0, bytes), beta.subarray(0, bytes)) === 0;
  }
}

const refusalOf = (promise: Promise<unknown>): Promise<HotMirrorError> =>
  promise.then(
    () => expect.fail('it was not refused'),
    (error: unknown) => error as HotMirrorError,
  );

describe('A mirror that grows (lineage.grow)', () => {
  it('is as large as the smaller device, while it is written; the new part is copied, and then holds what is written there', async () => {
    const pair = await new GrowingPair().start();
    pair.enlarge('alpha', 3 * mebibyte);
    pair.enlarge('beta', 2 * mebibyte);
    const written = Promise.all([0, 1, 2].map((at) => pair.write('alpha', at * block, pattern(block, at))));
    const room = { ownBytes: 3 * mebibyte, peerBytes: 2 * mebibyte };
    expect(await pair.grow('alpha')).to.deep.equal({ sizeBytes: 2 * mebibyte, grownBytes: mebibyte, room });
    await written;
    await pair.write('alpha', 2 * mebibyte - block, pattern(block, 9));
    await pair.whole('alpha');
    expect([pair.mirror('alpha').sizeBytes, pair.mirror('beta').sizeBytes]).to.deep.equal([2 * mebibyte, 2 * mebibyte]);
    expect(pair.equal(2 * mebibyte)).to.equal(true);
    expect(pair.disks.beta.contents[2 * mebibyte]).to.equal(6);
    const told = pair.told.filter(({ name }) => name === 'mirror:grown').map(({ node, event }) => [node, event.rule]);
    expect(told).to.deep.equal([['alpha', 'lineage.grow']]);
  });

  it('stays as it is where the device of the peer was not enlarged', async () => {
    const pair = await new GrowingPair().start();
    pair.enlarge('alpha', 2 * mebibyte);
    const room = { ownBytes: 2 * mebibyte, peerBytes: mebibyte };
    expect(await pair.grow('alpha')).to.deep.equal({ sizeBytes: mebibyte, grownBytes: 0, room });
    await pair.write('alpha', 0, pattern(block, 1));
  });

  it('stays as it is, and stays connected, where its own device was not enlarged', async () => {
    const pair = await new GrowingPair().start();
    pair.enlarge('beta', 2 * mebibyte);
    const { connectionId } = pair.mirror('alpha').state();
    expect((await pair.grow('alpha')).grownBytes).to.equal(0);
    expect(pair.mirror('alpha').state()).to.include({ connectionId, connection: 'connected', serving: 'yes' });
  });

  it('does so only where it is served, and while the peer holds the same', async () => {
    const pair = await new GrowingPair().start();
    expect((await refusalOf(pair.grow('beta'))).code).to.equal('HM_NOT_SERVING');
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    expect(await refusalOf(pair.grow('alpha'))).to.include({ code: 'HM_REFUSED', rule: 'lineage.grow' });
  });

  it('has its former size and all that was acknowledged where the target takes over before it holds the new part, and can grow again', async () => {
    const pair = await new GrowingPair().start();
    for (const node of ['alpha', 'beta'] as const) pair.enlarge(node, 2 * mebibyte);
    await pair.write('alpha', 0, pattern(block, 3));
    await pair.grow('alpha');
    pair.kill('alpha');
    const beta = pair.mirror('beta');
    expect([beta.sizeBytes, beta.state().element]).to.deep.equal([mebibyte, 'uptodate']);
    await pair.clock.settled(beta.seal(), 60_000, 'the seal');
    await pair.clock.settled(beta.promote({ epoch: { number: 2, owner: 'beta' }, alone: true }), 60_000, 'the takeover');
    expect((await pair.read('beta', 0, block))[0]).to.equal(3);
    await pair.write('beta', block, pattern(block, 4));
    await pair.open('alpha');
    await pair.whole('beta');
    expect(pair.mirror('alpha').sizeBytes).to.equal(mebibyte);
    expect(await pair.grow('beta')).to.include({ sizeBytes: 2 * mebibyte, grownBytes: mebibyte });
    await pair.whole('beta');
    expect(pair.mirror('alpha').sizeBytes).to.equal(2 * mebibyte);
    expect(pair.equal(2 * mebibyte)).to.equal(true);
  });

  it('goes on with the copy of its new part after a crash of the source', async () => {
    const pair = await new GrowingPair().start();
    for (const node of ['alpha', 'beta'] as const) pair.enlarge(node, 2 * mebibyte);
    await pair.grow('alpha');
    await pair.until(() => pair.mirror('beta').state().element === 'inconsistent', 'the copy');
    pair.kill('alpha');
    await pair.open('alpha');
    await pair.whole('alpha');
    expect(pair.mirror('beta').sizeBytes).to.equal(2 * mebibyte);
    expect(pair.equal(2 * mebibyte)).to.equal(true);
  });

  it('has a map that fits its size after a crash at any write of its metadata, which is enlarged for it', async () => {
    const grownBytes = 3 * 2 ** 30;
    const images: Uint8Array[] = [];
    const device = new EnlargeableDevice(elementMetadataBytes(mebibyte), images);
    const { random } = new MirrorPair();
    await MirrorLink.create({ kind: 'data', sizeBytes: mebibyte, metadata: device, random });
    const store = await ElementStore.load(device);
    store.dirty.mark(3);
    await store.persistDirty();
    images.length = 0;
    await store.makeRoom(grownBytes);
    await store.grow(grownBytes);
    const sizes = new Set<number>();
    for (const image of images) {
      const { metadata, dirty } = await ElementStore.load(new MemoryDevice({ sizeBytes: image.length, contents: image.slice() }));
      sizes.add(metadata.sizeBytes);
      const newExtents = (metadata.sizeBytes - mebibyte) / defaultExtentBytes;
      expect([dirty.has(3), dirty.count]).to.deep.equal([true, newExtents + 1]);
    }
    expect([...sizes]).to.deep.equal([mebibyte, grownBytes]);
  });
});

/** Metadata in memory that can be enlarged; keeps what it held after each write. */
class EnlargeableDevice extends MemoryDevice {
  #memory: MemoryDevice;
  readonly #images: Uint8Array[];

  constructor(sizeBytes: number, images: Uint8Array[]) {
    super({ sizeBytes: 0 });
    this.#memory = new MemoryDevice({ sizeBytes });
    this.#images = images;
    Object.defineProperty(this, 'sizeBytes', { get: () => this.#memory.sizeBytes });
  }

  override read(...[offsetBytes, into, done]: Parameters<BlockDevice['read']>): void {
    this.#memory.read(offsetBytes, into, done);
  }

  override write(...[offsetBytes, from, options, done]: Parameters<BlockDevice['write']>): void {
    this.#memory.write(offsetBytes, from, options, (error) => {
      this.#images.push(this.#memory.contents.slice());
      done(error);
    });
  }

  enlarge(sizeBytes: number): Promise<void> {
    const contents = new Uint8Array(Math.max(sizeBytes, this.#memory.sizeBytes));
    contents.set(this.#memory.contents);
    this.#memory = new MemoryDevice({ sizeBytes, contents });
    return Promise.resolve();
  }
}
