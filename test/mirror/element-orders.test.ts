import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { defaultExtentBytes } from '../../src/mirror/metadata.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';
import type { NodeName } from './support/mirror-pair.ts';

const block = 4096;

interface Refusal {
  readonly code: string;
  readonly rule: string | undefined;
}

const rejection = (promise: Promise<unknown>): Promise<Refusal | null> =>
  promise.then(
    () => null,
    (error: unknown) => ({ code: (error as HotMirrorError).code, rule: (error as HotMirrorError).rule }),
  );

const set = (pair: MirrorPair, node: NodeName, wish: 'off' | 'on'): Promise<void> =>
  pair.clock.settled(pair.mirror(node).setElement(wish), 5_000, `element ${wish}`);

async function goAlone(pair: MirrorPair): Promise<void> {
  const mirror = pair.mirror('alpha');
  await pair.until(() => mirror.state().serving === 'parked', 'the loss');
  const order = { epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId: mirror.state().connectionId } as const;
  await pair.clock.settled(mirror.goAlone(order), 1_000);
}

describe('An element that an operator takes out', () => {
  it('is durably off, the source knows that it is behind, and nothing reaches it any more (element.off)', async () => {
    const pair = await new MirrorPair().start();
    await pair.write('alpha', 0, pattern(block, 1));
    await set(pair, 'beta', 'off');
    expect(pair.mirror('beta').state()).to.include({ element: 'off', connection: 'standalone', role: 'none' });
    expect(pair.mirror('beta').snapshot().metadata).to.include({ state: 'off', offInconsistent: false });
    expect(pair.mirror('alpha').state()).to.include({ peerBehind: true, peerElement: 'off' });
    await goAlone(pair);
    await pair.write('alpha', 0, pattern(block, 2));
    await pair.clock.runFor(10_000);
    expect(pair.disks.beta.contents.subarray(0, block)).to.deep.equal(pattern(block, 1));
    expect(pair.names('beta').filter((name) => name === 'link:connected')).to.have.length(1);
    const [told] = pair.told.filter(({ name }) => name === 'element:detached');
    expect(told).to.deep.include({ node: 'beta' });
    expect(told?.event).to.include({ class: 1, rule: 'element.off' });
  });

  it('stays out over a restart, and over every order but the one that brings it back (element.off)', async () => {
    const pair = await new MirrorPair().start();
    await set(pair, 'beta', 'off');
    await pair.clock.settled(pair.mirror('beta').close(), 5_000);
    pair.kill('beta');
    const beta = await pair.open('beta');
    expect(beta.state()).to.include({ element: 'off', connection: 'standalone' });
    const { currentId, connectionId } = pair.mirror('alpha').state();
    await pair.clock.settled(beta.seal(), 1_000);
    await pair.clock.settled(beta.unseal(), 1_000);
    await pair.clock.settled(beta.doubt('no token'), 1_000);
    await pair.clock.settled(beta.outdate({ epoch: { number: 2, owner: 'alpha' }, currentId, connectionId, nonce: 'n' }), 1_000);
    const promotion = beta.promote({ epoch: { number: 3, owner: 'beta' }, alone: true, force: true });
    expect(await pair.clock.settled(rejection(promotion), 1_000)).to.deep.equal({ code: 'HM_REFUSED', rule: 'boot.uptodate' });
    await pair.clock.runFor(10_000);
    expect(beta.state()).to.include({ element: 'off', connection: 'standalone' });
    expect(beta.snapshot().metadata.state).to.equal('off');
  });

  it('brought back, gets what was written since, and nothing else (lineage.base)', async () => {
    const pair = await new MirrorPair().start();
    await set(pair, 'beta', 'off');
    await goAlone(pair);
    await pair.write('alpha', 5 * defaultExtentBytes, pattern(block, 3));
    await set(pair, 'beta', 'on');
    expect(pair.names('beta')).to.include('element:attached');
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');
    expect(pair.identical).to.equal(true);
    const decided = pair.told.filter(({ node, name }) => node === 'alpha' && name === 'lineage:decided').at(-1);
    expect(decided?.event).to.include({ rule: 'lineage.base' });
    expect(decided?.event.evidence).to.include({ scope: 'union', source: 'alpha' });
    expect(pair.mirror('beta').snapshot().metadata).to.include({ state: 'consistent', offInconsistent: false });
  });

  it('within a resync is inconsistent when it is brought back, not outdated: no force may serve it (resync.target)', async () => {
    const pair = await new MirrorPair({ sizeBytes: 64 * defaultExtentBytes, limits: { resyncWindowBytes: defaultExtentBytes } }).init();
    await pair.open('alpha');
    await pair.open('beta');
    await pair.until(() => pair.mirror('beta').state().role === 'target', 'the first copy');
    await set(pair, 'beta', 'off');
    expect(pair.mirror('beta').snapshot().metadata).to.include({ state: 'off', offInconsistent: true });
    pair.kill('alpha');
    await set(pair, 'beta', 'on');
    expect(pair.mirror('beta').state().element).to.equal('inconsistent');
    const promotion = pair.mirror('beta').promote({ epoch: { number: 2, owner: 'beta' }, alone: true, force: true });
    expect(await pair.clock.settled(rejection(promotion), 1_000)).to.deep.equal({ code: 'HM_REFUSED', rule: 'boot.uptodate' });
  });

  it('brought back without a peer is outdated: an operator may serve it by force (takeover.uptodate)', async () => {
    const pair = await new MirrorPair().start();
    await pair.write('alpha', 0, pattern(block, 4));
    await set(pair, 'beta', 'off');
    pair.kill('alpha');
    await set(pair, 'beta', 'on');
    expect(pair.mirror('beta').state().element).to.equal('outdated');
    const beta = pair.mirror('beta');
    expect(await pair.clock.settled(rejection(beta.promote({ epoch: { number: 2, owner: 'beta' }, alone: true })), 1_000)).not.to.equal(
      null,
    );
    await pair.clock.settled(beta.promote({ epoch: { number: 2, owner: 'beta' }, alone: true, force: true }), 1_000);
    expect(await pair.read('beta', 0, block)).to.deep.equal(pattern(block, 4));
  });

  it('is not the one that this node serves or copies from, nor one that has failed; what is so already is done (element.off)', async () => {
    const pair = await new MirrorPair().start();
    expect(await pair.clock.settled(rejection(pair.mirror('alpha').setElement('off')), 1_000)).to.deep.equal({
      code: 'HM_REFUSED',
      rule: 'element.off',
    });
    await pair.write('alpha', 0, pattern(block, 5));
    expect(pair.mirror('alpha').state()).to.include({ serving: 'yes', element: 'uptodate' });
    await set(pair, 'beta', 'on');
    await set(pair, 'beta', 'off');
    await set(pair, 'beta', 'off');
    expect(pair.names('beta').filter((name) => name === 'element:detached')).to.have.length(1);
  });

  it('is taken out as well while the cable is cut; the peer goes on once that is confirmed on another link (outdate)', async () => {
    const pair = await new MirrorPair().start();
    pair.link.cut();
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await set(pair, 'beta', 'off');
    const { currentId, connectionId } = pair.mirror('alpha').state();
    await pair.clock.settled(
      pair.mirror('beta').outdate({ epoch: { number: 2, owner: 'alpha' }, currentId, connectionId, nonce: 'n' }),
      1_000,
    );
    expect(pair.mirror('beta').snapshot().metadata.state).to.equal('off');
  });
});

describe('An element that failed', () => {
  it('stays failed when it is ordered to be outdated: only a new disk ends that (write.error)', async () => {
    const failing = { now: false };
    const pair = await new MirrorPair({
      wrap: (device, what) => ({
        ...device,
        write: (offsetBytes, from, options, done) => {
          if (failing.now && what === 'beta:disk') void Promise.resolve().then(() => device.read(-1, from, done));
          else device.write(offsetBytes, from, options, done);
        },
      }),
    }).start();
    const { currentId, connectionId } = pair.mirror('alpha').state();
    failing.now = true;
    pair.mirror('alpha').write(0, pattern(block, 6), {}, () => undefined);
    await pair.until(() => pair.mirror('beta').state().element === 'failed', 'the failure');
    await pair.until(() => pair.mirror('beta').snapshot().metadata.state === 'failed', 'the record of it');
    await pair.clock.settled(
      rejection(pair.mirror('beta').outdate({ epoch: { number: 2, owner: 'alpha' }, currentId, connectionId, nonce: 'n' })),
      5_000,
    );
    expect(pair.mirror('beta').state().element).to.equal('failed');
    expect(pair.mirror('beta').snapshot().metadata.state).to.equal('failed');
    expect(await pair.clock.settled(rejection(pair.mirror('beta').setElement('on')), 1_000)).to.deep.equal({
      code: 'HM_REFUSED',
      rule: 'write.error',
    });
  });
});
