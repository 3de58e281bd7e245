import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4096;

describe('MirrorLink', () => {
  it('fills a blank element and then mirrors writes to both (lineage.fill, write.both)', async () => {
    const pair = new MirrorPair();
    pair.disks.alpha.contents.set(pattern(block, 7), 8 * block);
    await pair.start();
    expect(pair.identical).to.equal(true);
    await pair.write('alpha', 0, pattern(block, 1));
    expect(pair.identical).to.equal(true);
    expect(pair.disks.beta.contents[0]).to.equal(1);
    await pair.flush('alpha');
    expect(await pair.read('alpha', 0, block)).to.deep.equal(pattern(block, 1));
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
  });

  it('completes nothing after the data link is lost, until it may go alone (serve.fresh, alone)', async () => {
    const pair = await new MirrorPair().start();
    pair.kill('beta');
    let done = false;
    pair.mirror('alpha').write(0, pattern(block, 2), {}, (error) => {
      expect(error).to.equal(null);
      done = true;
    });
    await pair.clock.runFor(10_000);
    expect(done).to.equal(false);
    expect(pair.mirror('alpha').state().serving).to.equal('parked');
    await pair.clock.settled(
      pair
        .mirror('alpha')
        .goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId: pair.mirror('alpha').state().connectionId }),
      1_000,
    );
    await pair.until(() => done, 'the parked write');
    expect(pair.names('alpha')).to.include('lineage:minted');
  });

  it('copies only what changed when the peer returns (lineage.base)', async () => {
    const pair = await new MirrorPair().start();
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await pair.clock.settled(
      pair
        .mirror('alpha')
        .goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId: pair.mirror('alpha').state().connectionId }),
      1_000,
    );
    await pair.write('alpha', 0, pattern(block, 3));
    await pair.open('beta');
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(pair.identical).to.equal(true);
    const started = pair.told.filter(({ node, name }) => node === 'alpha' && name === 'resync:started').at(-1);
    expect(started?.event.text).to.equal('1 extents are copied to beta');
    expect(pair.mirror('beta').state().epoch.number).to.equal(2);
  });

  it('fails over and back: the standby serves alone, and the primary is regenerated from it', async () => {
    const pair = await new MirrorPair().start();
    await pair.write('alpha', 0, pattern(block, 4));
    pair.kill('alpha');
    await pair.until(() => pair.mirror('beta').state().connection === 'connecting', 'the loss');
    const sealed = await pair.clock.settled(pair.mirror('beta').seal(), 1_000);
    expect(sealed.element).to.equal('uptodate');
    await pair.mirror('beta').promote({ epoch: { number: 2, owner: 'beta' }, alone: true });
    await pair.write('beta', block, pattern(block, 5));
    await pair.open('alpha');
    await pair.until(() => pair.mirror('alpha').state().element === 'uptodate', 'the regeneration');
    expect(pair.identical).to.equal(true);
    const { handedOver } = await pair.clock.settled(pair.mirror('beta').demote(), 1_000);
    expect(handedOver).to.equal(true);
    await pair.clock.settled(pair.mirror('beta').raiseEpoch({ number: 3, owner: 'alpha' }), 1_000);
    await pair.clock.settled(pair.mirror('alpha').promote({ epoch: { number: 3, owner: 'alpha' }, alone: false }), 1_000);
    await pair.write('alpha', 2 * block, pattern(block, 6));
    expect(pair.identical).to.equal(true);
    expect(pair.mirror('alpha').state().serving).to.equal('yes');
  });

  it('alone: a parked mirror that is held becomes whole with nobody until it is let go', async () => {
    const pair = await new MirrorPair().start();
    const mirror = pair.mirror('alpha');
    pair.link.break();
    await pair.until(() => mirror.state().serving === 'parked', 'the loss');
    const { connectionId } = mirror.state();
    await pair.clock.settled(mirror.seal({ connectionId }), 1_000);
    await pair.clock.runFor(20_000);
    expect(mirror.state()).to.include({ serving: 'parked', connection: 'standalone' });
    expect(pair.mirror('beta').state().connectionId).to.equal(connectionId);
    await pair.clock.settled(mirror.goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }), 1_000);
    await pair.clock.settled(mirror.unseal(), 1_000);
    await pair.until(() => pair.mirror('beta').state().epoch.number === 2, 'the new connection');
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate' && mirror.state().serving === 'yes', 'the regeneration');
  });

  it('alone: who waits for a regeneration waits on, through the hold, for the next connection', async () => {
    const pair = await new MirrorPair().start();
    const mirror = pair.mirror('alpha');
    const regenerated = mirror.regenerate({ full: true });
    await pair.until(() => mirror.state().resync !== null, 'the resync');
    pair.link.break();
    await pair.until(() => mirror.state().serving === 'parked', 'the loss');
    const { connectionId } = mirror.state();
    await pair.clock.settled(mirror.seal({ connectionId }), 1_000);
    await pair.clock.settled(mirror.goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }), 1_000);
    await pair.clock.settled(mirror.unseal(), 1_000);
    await pair.clock.settled(regenerated, 60_000, 'the regeneration');
    expect(pair.mirror('beta').state()).to.include({ element: 'uptodate' });
  });

  it('refuses to copy when both elements were written alone (lineage.split)', async () => {
    const pair = await new MirrorPair().start();
    pair.link.break();
    pair.link.cut();
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await pair.clock.settled(
      pair
        .mirror('alpha')
        .goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId: pair.mirror('alpha').state().connectionId }),
      1_000,
    );
    await pair.write('alpha', 0, pattern(block, 1));
    await pair.clock.settled(pair.mirror('beta').seal(), 1_000);
    await pair.mirror('beta').promote({ epoch: { number: 2, owner: 'beta' }, alone: true });
    await pair.write('beta', 0, pattern(block, 2));
    pair.link.heal();
    await pair.until(
      () => pair.mirror('alpha').state().connection === 'split-brain' && pair.mirror('beta').state().connection === 'split-brain',
      'split brain',
    );
    expect(pair.disks.alpha.contents[0]).to.equal(1);
    expect(pair.disks.beta.contents[0]).to.equal(2);
    expect(pair.mirror('alpha').state().serving).to.equal('no');
    expect(pair.mirror('beta').state().serving).to.equal('no');
  });

  it('ends serving at once when a higher epoch is heard, failing what is inside (lineage.epoch)', async () => {
    const pair = await new MirrorPair().start();
    pair.kill('beta');
    const failed = new Promise<HotMirrorError | null>((resolve) => {
      pair.mirror('alpha').write(0, pattern(block, 2), {}, resolve);
    });
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await pair.clock.settled(pair.mirror('alpha').raiseEpoch({ number: 2, owner: 'beta' }), 1_000);
    expect((await failed)?.code).to.equal('HM_STALE_EPOCH');
    expect(pair.mirror('alpha').state().serving).to.equal('no');
  });

  it('tells the epoch of the pair record from its first frame on, and proves nothing to an older owner (serve.lease, lineage.epoch)', async () => {
    const pair = await new MirrorPair().start();
    pair.kill('beta');
    const failed = new Promise<HotMirrorError | null>((resolve) => {
      pair.mirror('alpha').write(0, pattern(block, 2), {}, resolve);
    });
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await pair.open('beta', { epoch: { number: 2, owner: 'beta' } });
    await pair.until(() => pair.mirror('alpha').state().serving === 'no', 'the end of the older epoch');
    expect((await failed)?.code).to.equal('HM_STALE_EPOCH');
  });

  it('keeps the epoch of its element where the pair record holds a lower one (lineage.epoch)', async () => {
    const pair = await new MirrorPair().start();
    pair.kill('beta');
    await pair.open('beta', { epoch: { number: 0, owner: '' } });
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the connection');
    expect(pair.mirror('beta').snapshot().knownEpoch).to.deep.equal({ number: 1, owner: 'alpha' });
  });

  it('tells of an epoch that it heard of while passive (lineage.epoch)', async () => {
    const pair = await new MirrorPair().start();
    const heard: number[] = [];
    pair.mirror('beta').onChange(() => heard.push(pair.mirror('beta').state().epoch.number));
    await pair.clock.settled(pair.mirror('alpha').raiseEpoch({ number: 2, owner: 'alpha' }), 1_000);
    await pair.clock.runFor(1_000);
    expect(heard).to.deep.equal([2]);
  });

  describe('doubt (element.start)', () => {
    it('leaves an element uptodate whose peer answers on the data link a probe sent since', async () => {
      const pair = await new MirrorPair().start();
      await pair.clock.settled(pair.mirror('beta').doubt('a long pause'), 1_000);
      expect(pair.mirror('beta').state()).to.include({ element: 'uptodate', connection: 'connected' });
    });

    it('makes it consistent where the connection ends without an answer, however long it seems to live', async () => {
      const pair = await new MirrorPair({ limits: { deadlineMs: 5_000 } }).start();
      pair.link.cut();
      let settledAtMs = Infinity;
      const doubtedAtMs = pair.clock.nowMs();
      void pair
        .mirror('beta')
        .doubt('a long pause')
        .then(() => (settledAtMs = pair.clock.nowMs() - doubtedAtMs));
      await pair.clock.runFor(4_000);
      expect(settledAtMs).to.equal(Infinity);
      expect(pair.mirror('beta').state()).to.include({ element: 'uptodate', connection: 'connected' });
      await pair.clock.runFor(2_000);
      expect(settledAtMs).to.be.within(4_000, 6_000);
      expect(pair.mirror('beta').state()).to.include({ element: 'consistent' });
    });

    it('takes no answer for proof whose probe was sent before', async () => {
      const pair = await new MirrorPair({ delayMs: 400 }).start();
      // A probe is under way; its answer comes, the next one does not.
      pair.link.cut('beta');
      let settled = false;
      void pair
        .mirror('beta')
        .doubt('a long pause')
        .then(() => (settled = true));
      await pair.clock.runFor(850);
      expect(settled).to.equal(false);
      await pair.until(() => settled, 'the end of the connection');
      expect(pair.mirror('beta').state().element).to.equal('consistent');
    });

    it('takes the end of the connection for no proof, where another order ended it first', async () => {
      const pair = await new MirrorPair().start();
      const beta = pair.mirror('beta');
      pair.link.cut();
      const doubted = beta.doubt('a long pause');
      await pair.clock.settled(beta.seal(), 1_000);
      await pair.clock.settled(doubted, 1_000);
      expect(beta.state().element).to.equal('consistent');
    });

    it('comes with the loss of a connection on which the source never showed its newest epoch: it may have gone on alone before this end noticed', async () => {
      const pair = await new MirrorPair().start();
      const beta = pair.mirror('beta');
      pair.link.cut();
      await pair.clock.settled(beta.raiseEpoch({ number: 2, owner: 'alpha' }), 1_000);
      expect(beta.state()).to.include({ element: 'uptodate', connection: 'connected' });
      await pair.until(() => beta.state().connection !== 'connected', 'the loss');
      expect(beta.state().element).to.equal('consistent');
    });

    it('comes also where a takeover seals such an element before the loss was noticed', async () => {
      const pair = await new MirrorPair().start();
      const beta = pair.mirror('beta');
      pair.link.cut();
      await pair.clock.settled(beta.raiseEpoch({ number: 2, owner: 'alpha' }), 1_000);
      await pair.clock.settled(beta.seal(), 1_000);
      expect(beta.state().element).to.equal('consistent');
    });

    it('does not come with the loss of a connection on which the source showed it', async () => {
      const pair = await new MirrorPair().start();
      const [alpha, beta] = [pair.mirror('alpha'), pair.mirror('beta')];
      await pair.clock.settled(alpha.raiseEpoch({ number: 2, owner: 'alpha' }), 1_000);
      await pair.until(() => beta.state().epoch.number === 2, 'the epoch');
      pair.link.cut();
      await pair.until(() => beta.state().connection !== 'connected', 'the loss');
      expect(beta.state().element).to.equal('uptodate');
    });

    it('makes it consistent at once where there is no connection', async () => {
      const pair = await new MirrorPair().start();
      pair.kill('alpha');
      await pair.until(() => pair.mirror('beta').state().connection !== 'connected', 'the loss');
      await pair.clock.settled(pair.mirror('beta').doubt('the peer outlived the link'), 1);
      expect(pair.mirror('beta').state().element).to.equal('consistent');
    });
  });

  it('leaves a clean target durably outdated, and the source knows (node.leave)', async () => {
    const pair = await new MirrorPair().start();
    await pair.clock.settled(pair.mirror('beta').leave(), 5_000);
    expect(pair.mirror('beta').state().element).to.equal('outdated');
    await pair.until(() => pair.mirror('alpha').state().peerBehind, 'the goodbye');
    expect(pair.mirror('alpha').state().peerElement).to.equal('outdated');
  });
});
