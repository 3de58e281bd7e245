import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import type { DataConnection } from '../../src/mirror/data-connection.ts';
import { readElementImage } from '../../src/mirror/element-store.ts';
import type { DataLinkFeature } from '../../src/mirror/features.ts';
import { ProtocolInForce } from '../../src/mirror/protocol.ts';
import { mayPullAhead } from '../../src/mirror/pull-ahead.ts';
import {
  ackDeadlineMs,
  block,
  congest,
  congestible,
  delayMs,
  done,
  extent,
  soonMs,
  storedState,
  windowBytes,
} from './support/congestible.ts';
import { pattern } from './support/mirror-pair.ts';

describe('A full queue by async (write.congested)', () => {
  it('pull-ahead: the source goes on without the target, which is durably outdated and says so to nobody as uptodate', async () => {
    const rig = await congestible();
    const { pair, endings, write } = rig;
    congest(rig);
    expect(endings.codes).to.deep.equal([...done(4), null]);
    await pair.clock.runFor(soonMs);
    for (let at = 5; at < 20; at += 1) write(at);
    expect(endings.codes).to.deep.equal(done(20));
    expect(storedState(rig, 'beta')).to.equal('outdated');
    const [alpha, beta] = [pair.mirror('alpha').state(), pair.mirror('beta').state()];
    expect([alpha.serving, alpha.connection, alpha.peerElement, alpha.peerBehind]).to.deep.equal(['yes', 'connected', 'outdated', true]);
    expect([beta.element, beta.mayLoseBytes]).to.deep.equal(['outdated', null]);
    expect(pair.told.filter(({ name }) => name === 'ahead:begun').map(({ node, event }) => [node, event.class, event.rule])).to.deep.equal([
      ['beta', 1, 'write.congested'],
      ['alpha', 1, 'write.congested'],
    ]);
  });

  it('nothing completes before the target has recorded it: until then it is block, so that a takeover loses no more than the window', async () => {
    const rig = await congestible();
    const { pair, gates, endings } = rig;
    gates['beta:metadata']?.shut();
    congest(rig);
    await pair.clock.runFor(10 * delayMs);
    expect(endings.codes).to.deep.equal([...done(4), null]);
    gates['beta:metadata']?.open();
    await pair.clock.runFor(soonMs);
    expect(endings.codes).to.deep.equal(done(5));
  });

  it('the target is not uptodate any more from the moment it is asked, and a takeover waits for the record (takeover.seal)', async () => {
    const rig = await congestible();
    const { pair, gates } = rig;
    gates['beta:metadata']?.shut();
    congest(rig);
    await pair.clock.runFor(delayMs + 1);
    expect(pair.mirror('beta').state().element).to.equal('outdated');
    const sealed = pair.mirror('beta').seal();
    await pair.clock.runFor(soonMs);
    gates['beta:disk']?.open();
    gates['beta:metadata']?.open();
    expect((await pair.clock.settled(sealed, 1_000, 'the seal')).element).to.equal('outdated');
    expect(storedState(rig, 'beta')).to.equal('outdated');
    const refused = await pair
      .mirror('beta')
      .promote({ epoch: { number: 2, owner: 'beta' }, alone: true })
      .catch((error: unknown) => error);
    expect((refused as HotMirrorError).rule).to.equal('boot.uptodate');
  });

  it('before the first completion ahead the source holds a generation of its own, and the extent is in its log or map (lineage.mint, write.intent)', async () => {
    const rig = await congestible();
    const { pair, gates, endings, write } = rig;
    const before = pair.mirror('alpha').state().currentId;
    congest(rig);
    await pair.clock.runFor(delayMs);
    gates['alpha:metadata']?.shut();
    await pair.clock.runFor(soonMs);
    // It is ahead, and its generation is not durable.
    expect(pair.mirror('alpha').state().peerBehind).to.equal(true);
    write(5);
    expect(endings.codes).to.deep.equal([...done(4), null, null]);
    gates['alpha:metadata']?.open();
    await pair.clock.runFor(1);
    expect(endings.codes).to.deep.equal(done(6));
    const { metadata, dirty } = readElementImage(pair.metadata.alpha.contents, pair.metadata.alpha.blockSizeBytes)!;
    expect(metadata.base).to.equal(before);
    expect(metadata.current).not.to.equal(before);
    expect(metadata.activeRegions.includes(0) || dirty.count > 0).to.equal(true);
  });

  it('what a crash ahead leaves behind is copied: the generation of the source tells who is behind, and its log what differs (lineage.base)', async () => {
    const rig = await congestible();
    const { pair, gates, write } = rig;
    congest(rig);
    await pair.clock.runFor(soonMs);
    for (let at = 5; at < 20; at += 1) write(at);
    pair.kill('alpha');
    gates['beta:disk']?.open();
    await pair.clock.runFor(soonMs);
    await pair.open('alpha');
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');
    const decided = pair.told.filter(({ name }) => name === 'lineage:decided').at(-1);
    expect(decided?.event.rule).to.equal('lineage.base');
    expect(pair.identical).to.equal(true);
  });

  it('what was sent before is applied in its order and acknowledged; nothing more is sent until then (write.order)', async () => {
    const rig = await congestible();
    const { pair, gates, said, write } = rig;
    congest(rig);
    await pair.clock.runFor(soonMs);
    for (let at = 5; at < 10; at += 1) write(at);
    await pair.clock.runFor(soonMs);
    expect(said('alpha').filter((name) => name === 'write')).to.have.length(4);
    expect(said('alpha').filter((name) => name === 'ahead')).to.have.length(1);
    expect(said('beta').filter((name) => name === 'behind')).to.have.length(1);
    gates['beta:disk']?.open();
    expect(gates['beta:disk']?.written.slice(-4)).to.deep.equal([0, extent, 2 * extent, 3 * extent]);
  });

  it('once the queue is empty the pair comes back by a resync of what differs, and goes on by async (lineage.adopt)', async () => {
    const rig = await congestible();
    const { pair, gates, endings, write } = rig;
    congest(rig);
    await pair.clock.runFor(soonMs);
    for (let at = 5; at < 20; at += 1) write(at);
    await pair.clock.runFor(10 * delayMs);
    // While anything is on its way, it stays ahead.
    expect(pair.names('alpha')).not.to.include('ahead:ended');
    gates['beta:disk']?.open();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');
    await pair.clock.runFor(soonMs);
    const ended = pair.told.filter(({ name }) => name === 'ahead:ended');
    expect(ended.map(({ node, event }) => [node, event.rule, event.evidence])).to.deep.equal([
      ['alpha', 'write.congested', { drained: true }],
    ]);
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
    expect(storedState(rig, 'beta')).to.equal('consistent');
    expect([pair.mirror('alpha').state().dirtyBytes, pair.identical]).to.deep.equal([0, true]);
    expect(pair.mirror('alpha').counters().ahead).to.deep.equal({ times: 1, bytes: 16 * block });
    expect(pair.mirror('alpha').counters().resync.sentBytes).to.be.below(2 * 32 * extent);
    for (let at = 0; at < 4; at += 1) write(at);
    expect(endings.codes).to.deep.equal(done(24));
  });

  it('while the target catches up a full window blocks, so that the resync ends; and it goes ahead again only after it (resync.progress)', async () => {
    const rig = await congestible({ resync: { minBytesPerSecond: 1_048_576, maxBytesPerSecond: 1_048_576 } });
    const { pair, gates, endings, write } = rig;
    congest(rig);
    await pair.clock.runFor(soonMs);
    for (let at = 5; at < 30; at += 1) write(at);
    gates['beta:disk']?.open();
    await pair.until(() => pair.mirror('alpha').state().resync !== null, 'the resync');
    gates['beta:disk']?.shut();
    for (let at = 0; at < 10; at += 1) write(at);
    await pair.clock.runFor(10 * delayMs);
    expect(endings.codes).to.include(null);
    expect(pair.mirror('alpha').counters().ahead.times).to.equal(1);
    gates['beta:disk']?.open();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');
    expect(endings.codes).not.to.include(null);
    congest(rig);
    await pair.clock.runFor(soonMs);
    expect(pair.mirror('alpha').counters().ahead.times).to.equal(2);
    gates['beta:disk']?.open();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the second copy');
    expect(pair.identical).to.equal(true);
  });

  it('a flush ahead completes with what this element holds durably under its own generation (write.flush, lineage.mint)', async () => {
    const rig = await congestible();
    const { pair, gates, endings } = rig;
    congest(rig);
    await pair.clock.runFor(soonMs);
    const flushes = gates['alpha:disk']?.flushes ?? 0;
    pair.mirror('alpha').flush(endings.next());
    expect(endings.codes).to.deep.equal(done(6));
    expect(gates['alpha:disk']?.flushes).to.equal(flushes + 1);
  });

  it('ahead, answers still need evidence of ownership, and the loss of the data link parks what follows (serve.lease, serve.fresh)', async () => {
    const rig = await congestible();
    const { pair, endings, write } = rig;
    congest(rig);
    await pair.clock.runFor(soonMs);
    pair.link.cut();
    await pair.clock.runFor(800);
    write(5);
    expect(endings.codes).to.deep.equal([...done(5), null]);
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    write(6);
    await pair.clock.runFor(100);
    expect(endings.codes).to.deep.equal([...done(5), null, null]);
    // Rule alone holds, for the peer is known to be behind.
    await pair.goAlone('alpha');
    expect(endings.codes).to.deep.equal(done(7));
    const ended = pair.told.find(({ name }) => name === 'ahead:ended');
    expect(ended?.event.evidence).to.deep.equal({ drained: false });
  });

  it('a target that never confirms is dropped after ackDeadlineMs, and rule alone decides', async () => {
    const rig = await congestible();
    const { pair, gates, endings } = rig;
    gates['beta:metadata']?.shut();
    congest(rig);
    gates['beta:disk']?.open();
    await pair.until(() => pair.names('alpha').includes('link:lost'), 'the end of the connection', 2 * ackDeadlineMs);
    const lost = pair.told.find(({ node, name }) => node === 'alpha' && name === 'link:lost');
    expect(lost?.event.evidence).to.deep.include({ code: 'HM_TARGET_STALLED' });
    expect(pair.mirror('alpha').counters().ahead.times).to.equal(0);
    expect(endings.codes).to.deep.equal(done(5));
  });

  it('a handover is refused while it is ahead, and the service goes on (handover)', async () => {
    const rig = await congestible();
    const { pair, gates, endings, write } = rig;
    congest(rig);
    await pair.clock.runFor(soonMs);
    const demoted = pair.mirror('alpha').demote();
    await pair.clock.runFor(soonMs);
    gates['beta:disk']?.open();
    expect(await pair.clock.settled(demoted, 1_000, 'the handover')).to.deep.equal({ handedOver: false });
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');
    write(5);
    expect(endings.codes).to.deep.equal(done(6));
  });

  it('a verify does not begin while it is ahead, and one under way ends without findings (verify)', async () => {
    const rig = await congestible();
    const { pair, gates } = rig;
    gates['beta:disk']?.shut();
    const verified = pair.mirror('alpha').verify();
    const outcome = verified.catch((error: unknown) => (error as HotMirrorError).code);
    congest(rig);
    await pair.clock.runFor(soonMs);
    expect(await pair.clock.settled(outcome, 1_000, 'the verify')).to.equal('HM_CONNECTION_LOST');
    const refused = await pair
      .mirror('alpha')
      .verify()
      .catch((error: unknown) => (error as HotMirrorError).rule);
    expect(refused).to.equal('verify');
    gates['beta:disk']?.open();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');
    expect([pair.mirror('alpha').state().findingBytes, pair.identical]).to.deep.equal([0, true]);
  });

  it('a write that is longer than the window waits as by sync and is no reason to go ahead', async () => {
    const rig = await congestible();
    const { pair, gates, endings } = rig;
    gates['beta:disk']?.shut();
    rig.write(0);
    pair.mirror('alpha').write(extent, pattern(2 * windowBytes, 1), {}, endings.next());
    await pair.clock.runFor(soonMs);
    expect(endings.codes).to.deep.equal(['done', null]);
    expect(pair.mirror('alpha').counters().ahead.times).to.equal(0);
  });

  for (const [why, options] of [
    ['by block', { whenCongested: 'block' }],
    ['by memsync', { protocol: 'memsync' }],
    ['by sync', { protocol: 'sync' }],
  ] as const) {
    it(`${why} a full window blocks`, async () => {
      const rig = await congestible(options);
      const { pair, endings, gates } = rig;
      congest(rig);
      await pair.clock.runFor(soonMs);
      expect(endings.codes).to.include(null);
      expect(rig.said('alpha')).not.to.include('ahead');
      expect(pair.mirror('beta').state().element).to.equal('uptodate');
      gates['beta:disk']?.open();
      await pair.clock.runFor(soonMs);
      expect(endings.codes).to.deep.equal(done(5));
    });
  }

  it('a peer that does not know how to be left behind is waited for, as by block', () => {
    const may = (features: readonly DataLinkFeature[]): boolean =>
      mayPullAhead({
        whenCongested: 'pull-ahead',
        protocol: new ProtocolInForce('async'),
        data: { features: new Set(features) } as unknown as DataConnection,
      });
    expect([may(['protocols']), may(['protocols', 'pull-ahead'])]).to.deep.equal([false, true]);
  });
});
