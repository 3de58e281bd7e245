import { expect } from 'chai';

import { MemoryDevice } from '../../src/device/memory.ts';
import { elementMetadataBytes } from '../../src/mirror/create-element.ts';
import { ElementLineage } from '../../src/mirror/element-lineage.ts';
import { ElementStore } from '../../src/mirror/element-store.ts';
import { Findings } from '../../src/mirror/findings.ts';
import { MirrorLink } from '../../src/mirror/mirror-link.ts';
import { ProtocolInForce } from '../../src/mirror/protocol.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4096;
const mebibyte = 1_048_576;
/** One page of the dirty map covers less. */
const twoPages = 3 * 2 ** 30;

describe('Element sizes', () => {
  it('may differ: a larger target is filled as far as the mirror goes, and what lies beyond is never touched (lineage.size)', async () => {
    const pair = new MirrorPair({ sizeBytes: mebibyte, betaBytes: 2 * mebibyte });
    pair.disks.beta.contents.fill(7);
    await pair.start();
    expect(pair.mirror('beta').sizeBytes).to.equal(mebibyte);
    await pair.write('alpha', mebibyte - block, pattern(block, 1));
    expect(Buffer.compare(pair.disks.alpha.contents, pair.disks.beta.contents.subarray(0, mebibyte))).to.equal(0);
    expect(pair.disks.beta.contents.subarray(mebibyte).every((byte) => byte === 7)).to.equal(true);
  });

  it('may differ the other way where the mirror was made no larger than the smaller one: the rest of the larger device is never touched', async () => {
    const pair = new MirrorPair({ sizeBytes: 2 * mebibyte, betaBytes: mebibyte });
    pair.disks.alpha.contents.fill(7);
    const { random } = pair;
    const epoch = { number: 1, owner: 'alpha' };
    await MirrorLink.create({ kind: 'data', sizeBytes: mebibyte, metadata: pair.metadata.alpha, random, epoch });
    await pair.initNode('beta', 'blank');
    await pair.open('alpha');
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the first copy');
    const mirror = pair.mirror('alpha');
    await mirror.promote({ epoch, alone: false });
    expect(mirror.sizeBytes).to.equal(mebibyte);
    await pair.write('alpha', mebibyte - block, pattern(block, 1));
    const beyond = await new Promise<string>((resolve) =>
      mirror.write(mebibyte, pattern(block, 1), {}, (error) => resolve(error?.code ?? 'ok')),
    );
    expect(beyond).to.equal('HM_OUT_OF_RANGE');
    expect(Buffer.compare(pair.disks.alpha.contents.subarray(0, mebibyte), pair.disks.beta.contents)).to.equal(0);
    expect(pair.disks.alpha.contents.subarray(mebibyte).every((byte) => byte === 7)).to.equal(true);
  });

  it('are refused before anything is written where an element is smaller than the mirror, on both nodes (lineage.size)', async () => {
    const pair = await new MirrorPair({ sizeBytes: 2 * mebibyte, betaBytes: mebibyte }).init();
    pair.disks.alpha.contents.fill(1);
    await pair.open('alpha');
    await pair.open('beta');
    for (const node of ['alpha', 'beta'] as const) {
      await pair.until(() => pair.told.some((told) => told.node === node && told.event.rule === 'lineage.size'), 'the refusal');
    }
    expect(pair.disks.beta.contents.every((byte) => byte === 0)).to.equal(true);
    expect(pair.mirror('alpha').sizeBytes).to.equal(2 * mebibyte);
  });

  it('count only as far as the metadata has room for a dirty map (lineage.size)', async () => {
    const { metadata, random, disks } = new MirrorPair({ sizeBytes: mebibyte });
    await MirrorLink.create({ kind: 'blank', sizeBytes: mebibyte, metadata: metadata.beta, random });
    const store = await ElementStore.load(metadata.beta);
    const device = Object.assign(Object.create(disks.beta) as MemoryDevice, { sizeBytes: twoPages });
    const lineage = new ElementLineage({
      node: 'beta',
      device,
      store,
      random,
      findings: new Findings(store),
      whenSplit: 'ask',
      protocol: new ProtocolInForce('sync'),
      host: { failed: () => Promise.resolve() },
    });
    expect(store.roomBytes).to.be.below(twoPages);
    expect(elementMetadataBytes(store.roomBytes)).to.equal(metadata.beta.sizeBytes);
    expect(lineage.view('inconsistent', false).deviceBytes).to.equal(store.roomBytes);
  });

  it('have metadata that is too short for its mirror taken for damaged', async () => {
    const whole = new MemoryDevice({ sizeBytes: elementMetadataBytes(twoPages) });
    const { random } = new MirrorPair();
    await MirrorLink.create({ kind: 'data', sizeBytes: twoPages, metadata: whole, random });
    const short = new MemoryDevice({ sizeBytes: elementMetadataBytes(mebibyte) });
    short.contents.set(whole.contents.subarray(0, short.sizeBytes));
    const pair = new MirrorPair();
    pair.metadata.alpha.contents.set(short.contents);
    const refused = await pair.open('alpha').then(
      () => 'opened',
      (error: unknown) => (error as { readonly code: string }).code,
    );
    expect(refused).to.equal('HM_METADATA_CORRUPT');
  });
});
