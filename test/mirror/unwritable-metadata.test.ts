import { expect } from 'chai';

import { MemoryDevice } from '../../src/device/memory.ts';
import { createElement, elementMetadataBytes } from '../../src/mirror/create-element.ts';
import { ElementStore } from '../../src/mirror/element-store.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { asked, outcome } from './support/endings.ts';
import { FaultyPair } from './support/faulty-pair.ts';
import { pattern } from './support/mirror-pair.ts';
import { WornDisk } from './support/worn-disk.ts';

const block = 4_096;

async function started(): Promise<FaultyPair> {
  const pair = new FaultyPair();
  await pair.start();
  return pair;
}

/** The source waits for its target, which says neither that it is `uptodate` nor that it has failed. */
async function expectParked(pair: FaultyPair): Promise<void> {
  const { told } = pair;
  const write = asked((done) => pair.mirror('alpha').write(0, pattern(block, 2), {}, done));
  await pair.clock.runFor(20_000);
  expect(pair.mirror('alpha').state()).to.include({ serving: 'parked', peerBehind: false });
  expect([write.code, pair.mirror('beta').state().element]).to.deep.equal([null, 'consistent']);
  expect(told.filter(({ name }) => name === 'element:failed')).to.deep.equal([]);
  expect(told.findLast(({ node, name }) => node === 'beta' && name.startsWith('link:'))?.event.text).to.include(
    'the metadata could not be written',
  );
  pair.worn['beta:metadata'].failWrites = null;
  await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy, once the metadata can be written');
  expect([write.code, pair.mirror('beta').state().element, pair.identical]).to.deep.equal(['done', 'uptodate', true]);
}

describe('A target whose metadata cannot be written (alone)', () => {
  it('is not taken for durably behind where it is ordered to be outdated, and is not uptodate any more', async () => {
    const pair = await started();
    const [alpha, beta] = [pair.mirror('alpha'), pair.mirror('beta')];
    pair.worn['beta:metadata'].failWrites = 'HM_IO_WRITE';
    await pair.breakLink();
    const [{ currentId }, { connectionId }] = [alpha.state(), beta.state()];
    const order = beta.outdate({ epoch: { number: 1, owner: 'alpha' }, currentId, connectionId, nonce: 'n' });
    const refusal = await pair.clock.settled(outcome(order), 1_000, 'the order');
    pair.link.heal();
    await pair.clock.runFor(1_000);
    await expectParked(pair);
    expect(refusal).to.equal('HM_STATE_UNWRITABLE no rule');
  });

  it('nor where it cannot say what it holds at the next handshake (takeover.uptodate)', async () => {
    const pair = await started();
    await pair.breakLink();
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
    pair.worn['beta:metadata'].failWrites = 'HM_IO_WRITE';
    pair.link.heal();
    await pair.clock.runFor(1_000);
    await expectParked(pair);
  });

  it('nor where the lineage that it is to take over cannot be recorded: either may be durable (takeover.uptodate)', async () => {
    const pair = await started();
    await pair.breakLink();
    pair.link.heal();
    const beta = pair.mirror('beta');
    await pair.until(() => beta.state().connection === 'connected', 'the target');
    pair.worn['beta:metadata'].failWrites = 'HM_IO_WRITE';
    await pair.until(() => beta.state().connection !== 'connected', 'its refusal', 1_000);
    expect([beta.state().element, pair.mirror('alpha').state().peerBehind]).to.deep.equal(['consistent', false]);
    await expectParked(pair);
  });
});

describe('A page of the dirty map whose write failed (lineage.union)', () => {
  for (const dirty of [true, false])
    it(`is written again though it is ${dirty ? 'dirty' : 'clean'} again as it was stored: what failed may have landed`, async () => {
      const sizeBytes = 1_048_576;
      const memory = new MemoryDevice({ sizeBytes: elementMetadataBytes(sizeBytes) });
      await createElement({ kind: 'data', sizeBytes, metadata: memory, random: new SeededRandom(1) });
      const worn = new WornDisk(block);
      const store = await ElementStore.load(worn.wrap(memory));
      const become = (is: boolean): void => {
        if (is) store.dirty.markRange(0, block);
        else store.dirty.clear(0);
      };
      const stored = async (): Promise<boolean> => (await ElementStore.load(memory)).dirty.count > 0;
      become(dirty);
      await store.persistDirty();
      become(!dirty);
      worn.failFlushes = true;
      const failure = await outcome(store.persistDirty());
      worn.failFlushes = false;
      expect(await stored(), 'what the failed write left').to.equal(!dirty);
      become(dirty);
      await store.persistDirty();
      expect([await stored(), failure]).to.deep.equal([dirty, 'HM_STATE_UNWRITABLE no rule']);
    });
});
