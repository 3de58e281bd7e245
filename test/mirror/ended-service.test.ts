import { expect } from 'chai';

import type { BlockDevice } from '../../src/device/block-device.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { preImageLogBytes } from '../../src/mirror/pre-image-log.ts';
import { GatedDevice } from './support/gated-device.ts';
import { HeldRequest } from './support/held-request.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4_096;

/** Alpha serves; a write hangs at its own disk that beta has applied, and durably so. */
async function writeHangs(): Promise<{ readonly pair: MirrorPair; readonly held: HeldRequest }> {
  const held = new HeldRequest();
  const wrap = (device: BlockDevice, what: string): BlockDevice => (what === 'alpha:disk' ? held.around(device) : device);
  const pair = await new MirrorPair({ limits: { retryMaxMs: 200 }, delayMs: 5, wrap }).start();
  held.hold('write');
  pair.mirror('alpha').write(0, pattern(block, 7), {}, () => undefined);
  await pair.until(() => held.isHeld && pair.disks.beta.contents[0] === 7, 'the write at beta');
  await pair.flush('alpha');
  return { pair, held };
}

const full = new HotMirrorError('HM_NO_SPACE', 'the disk is full');

describe('what an element still has of a service that has ended', () => {
  it('write.error: ends before the element becomes a target, so that a difference it leaves is copied', async () => {
    const { pair, held } = await writeHangs();
    const [alpha, beta] = [pair.mirror('alpha'), pair.mirror('beta')];
    pair.link.break();
    pair.link.cut();
    await pair.until(() => beta.state().lostAtMs !== null, 'the loss');
    await pair.clock.settled(beta.promote({ epoch: { number: 2, owner: 'beta' }, alone: true }), 60_000, 'the promotion');
    await pair.clock.settled(alpha.raiseEpoch({ number: 2, owner: 'beta' }), 60_000, 'the news');
    pair.link.heal();
    await pair.clock.runFor(2_000);
    expect(alpha.state().connection, 'meanwhile').to.not.equal('connected');
    held.release(full);
    await pair.until(() => beta.state().peerElement === 'uptodate', 'the copy');
    expect(pair.identical).to.equal(true);
    for (const mirror of [alpha, beta]) expect(mirror.state().dirtyBytes).to.equal(0);
  });

  it('takeover.seal: keeps no order waiting for ever, and not the one to be outdated', async () => {
    const { pair } = await writeHangs();
    const alpha = pair.mirror('alpha');
    pair.link.break();
    pair.link.cut();
    await pair.until(() => alpha.state().lostAtMs !== null, 'the loss');
    await pair.clock.settled(alpha.raiseEpoch({ number: 2, owner: 'beta' }), 60_000, 'the news');
    const sealed = alpha.seal().then(
      () => null,
      (error: unknown) => (error as HotMirrorError).code,
    );
    expect(await pair.clock.settled(sealed, 60_000, 'the seal')).to.equal('HM_REFUSED');
    const { currentId, connectionId } = alpha.state();
    const order = { epoch: { number: 2, owner: 'beta' }, currentId, connectionId, nonce: 'n' };
    await pair.clock.settled(alpha.outdate(order), 1_000, 'the order');
    expect(alpha.snapshot().metadata.state).to.equal('outdated');
    await pair.clock.settled(alpha.close(), 60_000, 'the end');
    await pair.open('alpha');
    expect(pair.mirror('alpha').snapshot().metadata.crashed, 'as after a crash').to.equal(true);
  });

  it('lineage.union: is known before the element counts as left in order', async () => {
    const { pair, held } = await writeHangs();
    pair.link.break();
    pair.link.cut();
    const closed = pair.mirror('alpha').close();
    await pair.clock.runFor(2_000);
    held.release(full);
    await pair.clock.settled(closed, 60_000, 'the end');
    pair.link.heal();
    await pair.open('alpha');
    await pair.until(
      () => pair.mirror('alpha').state().connection === 'connected' && pair.mirror('alpha').state().dirtyBytes === 0,
      'the copy',
    );
    await pair.until(() => pair.identical, 'both the same');
  });
});

/** A resync to beta whose disk hangs, so that the data link stays away. */
async function heldBack(): Promise<{ readonly pair: MirrorPair; readonly gate: GatedDevice }> {
  let gate: GatedDevice | undefined;
  const wrap = (device: BlockDevice, what: string): BlockDevice => (what === 'beta:disk' ? (gate = new GatedDevice(device)) : device);
  const undoJournal = { sizeBytes: preImageLogBytes(64, 65_536), whenFull: 'give-up' } as const;
  const pair = await new MirrorPair({ undoJournal, limits: { resyncWindowBytes: 65_536, retryMaxMs: 200 }, delayMs: 5, wrap }).start();
  pair.link.break();
  pair.link.cut();
  await pair.until(() => pair.mirror('alpha').state().lostAtMs !== null, 'the loss');
  await pair.goAlone('alpha');
  await pair.write('alpha', 0, pattern(16 * 65_536, 7));
  pair.link.heal();
  await pair.until(() => pair.mirror('beta').state().canRollBack && pair.mirror('beta').state().role === 'target', 'the resync');
  gate!.shut();
  await pair.clock.runFor(50);
  pair.link.break();
  await pair.until(() => pair.mirror('beta').state().connection === 'standalone', 'the device hangs', 60_000);
  return { pair, gate: gate! };
}

describe('a data link that is held back by what a hanging device has left', () => {
  it('resync.undo: comes back after an order, though the order found it away', async () => {
    const { pair, gate } = await heldBack();
    const rolledBack = pair.mirror('beta').rollBack();
    await pair.clock.runFor(100);
    gate.open();
    await pair.clock.settled(rolledBack, 60_000, 'the rollback');
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');
    expect(pair.identical).to.equal(true);
  });

  it('element.off: comes back after an order that was refused over it', async () => {
    const { pair, gate } = await heldBack();
    const off = pair
      .mirror('beta')
      .setElement('off')
      .then(
        () => null,
        (error: unknown) => (error as HotMirrorError).code,
      );
    expect(await pair.clock.settled(off, 120_000, 'the order')).to.equal('HM_REFUSED');
    gate.open();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');
    expect(pair.identical).to.equal(true);
  });
});
