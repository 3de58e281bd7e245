import { expect } from 'chai';

import type { BlockDevice } from '../../src/device/block-device.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { preImageLogBytes } from '../../src/mirror/pre-image-log.ts';
import { HeldRequest } from './support/held-request.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';
import type { MirrorPairOptions } from './support/mirror-pair.ts';

const extent = 65_536;
const undoJournal = { sizeBytes: preImageLogBytes(64, extent), whenFull: 'give-up' } as const;

interface HeldPair {
  readonly pair: MirrorPair;
  readonly held: HeldRequest;
}

async function pairWithHeld(disk: string, options: MirrorPairOptions = {}): Promise<HeldPair> {
  const held = new HeldRequest();
  const limits = { resyncWindowBytes: extent, retryMaxMs: 200 };
  const wrap = (device: BlockDevice, what: string): BlockDevice => (what === disk ? held.around(device) : device);
  const pair = await new MirrorPair({ limits, delayMs: 5, ...options, wrap }).start();
  return { pair, held };
}

/** Alpha was about to become the source again, waits for its flush, and is now the target of beta in the middle of a resync. */
async function flushOutlivesRole(): Promise<HeldPair> {
  const { pair, held } = await pairWithHeld('alpha:disk');
  const [alpha, beta] = [pair.mirror('alpha'), pair.mirror('beta')];
  held.hold('flush');
  pair.link.break();
  await pair.until(() => held.isHeld, 'the handshake of the source');
  pair.link.cut();
  await pair.clock.settled(alpha.demote(), 60_000, 'the demotion');
  await pair.clock.settled(beta.promote({ epoch: { number: 2, owner: 'beta' }, alone: true }), 60_000, 'the promotion');
  for (let at = 0; at < 32; at += 1) await pair.write('beta', at * extent, pattern(extent, 7));
  pair.link.heal();
  await pair.until(() => alpha.state().role === 'target' && alpha.state().element === 'inconsistent', 'the copy of what beta wrote');
  return { pair, held };
}

/** Beta is about to become the target of what alpha wrote alone, and waits for its flush. */
async function targetInPreparation(): Promise<HeldPair> {
  const { pair, held } = await pairWithHeld('beta:disk', { undoJournal });
  pair.link.break();
  pair.link.cut();
  await pair.until(() => pair.mirror('alpha').state().lostAtMs !== null, 'the loss');
  await pair.goAlone('alpha');
  await pair.write('alpha', 0, pattern(extent, 7));
  held.hold('flush');
  pair.link.heal();
  await pair.until(() => held.isHeld, 'the handshake of the target');
  return { pair, held };
}

describe('a connection that ends during its handshake', () => {
  it('lineage.decide: changes nothing at its source any more, which may be the target of the next by then', async () => {
    const { pair, held } = await flushOutlivesRole();
    held.release();
    await pair.clock.runFor(20);
    expect(pair.mirror('alpha').state().element).to.equal('inconsistent');
    pair.kill('alpha');
    await pair.open('alpha');
    expect(pair.mirror('alpha').state().element, 'durably').to.equal('inconsistent');
  });

  it('write.error: shows that the element has failed to whoever is its source by then', async () => {
    const { pair, held } = await flushOutlivesRole();
    held.release(new HotMirrorError('HM_IO_FLUSH', 'the cache is gone'));
    await pair.until(() => pair.mirror('beta').state().peerElement === 'failed', 'the news');
    expect(pair.mirror('alpha').state().element).to.equal('failed');
  });

  it('resync.begin: leaves its target as it was, which shakes hands again once its disk answers', async () => {
    const { pair, held } = await targetInPreparation();
    pair.link.break();
    await pair.clock.runFor(500);
    expect(pair.mirror('beta').state().connection).to.not.equal('connected');
    held.release();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'what alpha wrote alone is copied');
    expect(pair.identical).to.equal(true);
    expect(pair.mirror('alpha').state().resync).to.equal(null);
  });

  it('outdate: does not take back what was recorded meanwhile', async () => {
    const { pair, held } = await targetInPreparation();
    const beta = pair.mirror('beta');
    const { currentId, connectionId } = beta.state();
    pair.link.cut();
    const order = { epoch: { number: 2, owner: 'alpha' }, currentId, connectionId, nonce: 'n' };
    await pair.clock.settled(beta.outdate(order), 60_000, 'the order');
    held.release();
    await pair.clock.runFor(20);
    expect(beta.state().element).to.equal('outdated');
    expect(beta.snapshot().metadata.state).to.equal('outdated');
  });

  it('lineage.adopt: makes an element good whose adoption is durable only after the end', async () => {
    const { pair, held } = await pairWithHeld('beta:metadata');
    pair.link.break();
    pair.link.cut();
    await pair.until(() => pair.mirror('alpha').state().lostAtMs !== null, 'the loss');
    await pair.goAlone('alpha');
    await pair.write('alpha', 0, pattern(8 * extent, 7));
    pair.link.heal();
    await pair.until(
      () => pair.mirror('beta').state().element === 'inconsistent' && pair.mirror('beta').state().role === 'target',
      'the copy',
    );
    held.hold('write');
    await pair.until(() => held.isHeld, 'the adoption');
    pair.kill('alpha');
    await pair.until(() => pair.mirror('beta').state().connection === 'connecting', 'the loss');
    held.release();
    await pair.clock.runFor(20);
    expect(pair.mirror('beta').snapshot().metadata.state).to.equal('consistent');
    expect(pair.mirror('beta').state().element).to.equal('consistent');
  });
});
