import { expect } from 'chai';

import type { BlockDevice } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { createElement, elementMetadataBytes } from '../../src/mirror/create-element.ts';
import { ElementLineage } from '../../src/mirror/element-lineage.ts';
import type { ElementLineageOptions } from '../../src/mirror/element-lineage.ts';
import { ElementStore } from '../../src/mirror/element-store.ts';
import { KnownElements } from '../../src/mirror/known-elements.ts';
import { failedBy } from '../../src/mirror/metadata.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { asked, outcome } from './support/endings.ts';
import { FaultyPair } from './support/faulty-pair.ts';
import { GatedDevice } from './support/gated-device.ts';
import { pattern } from './support/mirror-pair.ts';
import type { NodeName } from './support/mirror-pair.ts';
import { WornDisk } from './support/worn-disk.ts';

const block = 4_096;

const promoted = (pair: FaultyPair, node: NodeName, alone: boolean): Promise<string> =>
  pair.clock.settled(outcome(pair.mirror(node).promote({ epoch: { number: 3, owner: node }, alone })), 10_000, 'the promotion');

/** The source completes without its target for a while, and the link is back. */
async function reunited(): Promise<FaultyPair> {
  const pair = new FaultyPair();
  await pair.start();
  await pair.write('alpha', 0, pattern(block, 1));
  await pair.breakLink();
  const { currentId } = pair.mirror('alpha').state();
  const { connectionId } = pair.mirror('beta').state();
  const order = { epoch: { number: 1, owner: 'alpha' }, currentId, connectionId, nonce: 'n' } as const;
  await pair.clock.settled(pair.mirror('beta').outdate(order), 1_000, 'the order to be outdated');
  await pair.goAlone('alpha');
  await pair.write('alpha', block, pattern(block, 2));
  pair.link.heal();
  return pair;
}

describe('An element that failed stays so (write.error)', () => {
  it('a target whose adoption is being recorded meanwhile: in memory and on disk, and it is never promoted (boot.uptodate)', async () => {
    const pair = new FaultyPair();
    await pair.start();
    await pair.write('alpha', 0, pattern(block, 1));
    await pair.breakLink();
    pair.link.heal();
    await pair.until(() => pair.mirror('beta').state().connection === 'connected', 'the target');
    pair.gates['beta:metadata'].shut();
    await pair.until(() => pair.mirror('alpha').state().connection === 'connected', 'the source');
    const before = pair.gates['beta:metadata'].asked.length;
    await pair.until(() => pair.gates['beta:metadata'].asked.length > before, 'the record of the adoption', 1_000);
    pair.worn['beta:disk'].failWrites = 'HM_IO_WRITE';
    const write = asked((done) => pair.mirror('alpha').write(0, pattern(block, 2), {}, done));
    await pair.until(() => pair.mirror('beta').state().element === 'failed', 'the failure', 1_000);
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'failed', 'the news, whether recorded or not', 100);
    pair.gates['beta:metadata'].open();
    await pair.clock.runFor(50);
    expect([pair.mirror('beta').state().element, pair.stored('beta').state]).to.deep.equal(['failed', 'failed']);
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the end of the connection');
    await pair.goAlone('alpha');
    await pair.until(() => write.code !== null, 'the write');
    pair.kill('alpha');
    await pair.clock.runFor(3_000);
    expect((await pair.clock.settled(pair.mirror('beta').seal(), 5_000, 'the seal')).element).to.equal('failed');
    expect(await promoted(pair, 'beta', true)).to.equal('HM_REFUSED boot.uptodate');
  });

  it('whatever a node takes it for later', () => {
    for (const later of ['uptodate', 'consistent', 'outdated', 'inconsistent', 'off'] as const) {
      const known = new KnownElements('consistent');
      known.element = 'uptodate';
      expect(known.element).to.equal('uptodate');
      known.element = 'failed';
      known.element = later;
      expect(known.element).to.equal('failed');
    }
  });

  for (const kind of ['flush', 'write'] as const)
    for (const afterMs of [0, 5, 10, 15])
      it(`a source whose ${kind} fails ${String(afterMs)} ms into a handshake, while its metadata are slow: it is no source again, and not promoted`, async () => {
        const pair = await reunited();
        const mirror = pair.mirror('alpha');
        await pair.until(() => mirror.state().handshaking, 'the handshake');
        await pair.clock.runFor(afterMs);
        pair.gates['alpha:metadata'].shut();
        pair.worn['alpha:disk'].failFlushes = true;
        pair.worn['alpha:disk'].failWrites = 'HM_IO_WRITE';
        const request = asked((done) => (kind === 'flush' ? mirror.flush(done) : mirror.write(block, pattern(block, 3), {}, done)));
        await pair.until(() => mirror.state().element === 'failed', 'the failure', 1_000);
        await pair.clock.runFor(50);
        expect(mirror.state()).to.include({ element: 'failed', role: 'none', serving: 'no' });
        pair.gates['alpha:metadata'].open();
        pair.worn['alpha:disk'].failFlushes = false;
        pair.worn['alpha:disk'].failWrites = null;
        await pair.clock.runFor(10_000);
        expect(request.code).to.equal(kind === 'flush' ? 'HM_IO_FLUSH' : 'HM_IO_WRITE');
        expect(mirror.state()).to.include({ element: 'failed', role: 'none', serving: 'no' });
        expect(pair.stored('alpha').state).to.equal('failed');
        expect(pair.mirror('beta').state().element).to.be.oneOf(['outdated', 'inconsistent']);
        expect(await promoted(pair, 'alpha', false)).to.equal('HM_REFUSED boot.uptodate');
      });

  for (const outageEnds of [true, false])
    it(`where that could not be recorded, ${outageEnds ? 'the orderly end records it' : 'the start after an orderly end is one after a crash'}`, async () => {
      const pair = new FaultyPair();
      await pair.start();
      await pair.write('alpha', 0, pattern(block, 2));
      pair.worn['alpha:disk'].failFlushes = true;
      pair.worn['alpha:metadata'].failWrites = 'HM_IO_WRITE';
      // What the failed flush was to make durable is gone.
      pair.disks.alpha.contents.fill(0);
      const flush = asked((done) => pair.mirror('alpha').flush(done));
      pair.link.cut();
      await pair.until(() => flush.code !== null, 'the flush', 5_000);
      expect([flush.code, pair.mirror('alpha').state().serving]).to.deep.equal(['HM_IO_FLUSH', 'no']);
      pair.worn['alpha:disk'].failFlushes = false;
      if (outageEnds) pair.worn['alpha:metadata'].failWrites = null;
      await pair.clock.settled(pair.mirror('alpha').close(), 20_000, 'the end');
      pair.kill('alpha');
      pair.worn['alpha:metadata'].failWrites = null;
      const alpha = await pair.open('alpha');
      const { state, crashed } = alpha.snapshot().metadata;
      expect([state, crashed, alpha.state().dirtyBytes > 0]).to.deep.equal([outageEnds ? 'failed' : 'consistent', true, true]);
    });
});

describe('The metadata of an element that failed (write.error)', () => {
  const sizeBytes = 1_048_576;
  const failure = failedBy(new HotMirrorError('HM_IO_WRITE', 'the disk is dead'));

  async function stored(): Promise<{
    readonly device: BlockDevice;
    readonly worn: WornDisk;
    readonly gate: GatedDevice;
    readonly store: ElementStore;
  }> {
    const memory = new MemoryDevice({ sizeBytes: elementMetadataBytes(sizeBytes) });
    await createElement({ kind: 'data', sizeBytes, metadata: memory, random: new SeededRandom(1) });
    const [worn, gate] = [new WornDisk(block), new GatedDevice(memory)];
    const device = worn.wrap(gate);
    return { device, worn, gate, store: await ElementStore.load(device) };
  }

  it('later changes cannot change its state or say why no more, in the same write or in another', async () => {
    const { device, gate, store } = await stored();
    gate.shut();
    const changes = [
      store.update(() => ({ inUse: true })),
      store.update(() => failure),
      store.update(() => ({ state: 'consistent', note: '', unchanged: true })),
    ];
    gate.open();
    await Promise.all(changes);
    await store.update(() => ({ state: 'outdated', note: 'behind' }));
    const { metadata } = await ElementStore.load(device);
    for (const found of [store.metadata, metadata])
      expect(found).to.include({ state: 'failed', note: 'the disk is dead', inUse: true, unchanged: true });
    const again = await ElementStore.load(device);
    await again.update(() => ({ state: 'consistent' }));
    expect(again.metadata.state, 'after a start').to.equal('failed');
  });

  it('where that could not be written, the next write that succeeds carries it', async () => {
    const { device, worn, store } = await stored();
    worn.failWrites = 'HM_IO_WRITE';
    expect(await outcome(store.update(() => failure))).to.equal('HM_STATE_UNWRITABLE no rule');
    expect(store.metadata.state).to.equal('consistent');
    worn.failWrites = null;
    await store.update(() => ({ state: 'consistent', inUse: true }));
    expect((await ElementStore.load(device)).metadata).to.include({ state: 'failed', note: 'the disk is dead', inUse: true });
  });

  it('an element that fails while it is to be recorded that it holds everything alone does not hold it (lineage.mint)', async () => {
    const { gate, store } = await stored();
    const { current } = store.metadata;
    gate.shut();
    const lineage = new ElementLineage({ store } as unknown as ElementLineageOptions);
    const held = outcome(lineage.holdAlone(Buffer.from(JSON.stringify({ generation: 'aaaaaaaaaaaaaaaa' }))));
    const failed = store.update(() => failure);
    gate.open();
    await failed;
    expect(await held).to.match(/^HM_PROTOCOL/u);
    expect(store.metadata).to.include({ state: 'failed', current });
  });

  it('a write that failed may have been carried out in part: once it is certain, both copies say what is in force', async () => {
    const { device, worn, gate, store } = await stored();
    await store.certain();
    expect(gate.written, 'nothing is in doubt').to.deep.equal([]);
    worn.failFlushes = true;
    expect(await outcome(store.update(() => ({ inUse: true })))).to.match(/^HM_STATE_UNWRITABLE/u);
    worn.failFlushes = false;
    expect((await ElementStore.load(device)).metadata.inUse, 'what the failed write left').to.equal(true);
    await store.certain();
    expect((await ElementStore.load(device)).metadata.inUse).to.equal(false);
    const written = gate.written.length;
    await store.certain();
    expect(gate.written.length).to.equal(written);
    worn.failWrites = 'HM_IO_WRITE';
    expect(await outcome(store.update(() => ({ inUse: true })))).not.to.equal('done');
    expect(await outcome(store.certain()), 'it cannot be written').to.match(/^HM_STATE_UNWRITABLE/u);
  });
});
