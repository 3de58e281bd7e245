import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { asked } from './support/endings.ts';
import type { MirrorPair } from './support/mirror-pair.ts';
import { pattern } from './support/mirror-pair.ts';
import { wornPair } from './support/worn-pair.ts';
import type { Worn } from './support/worn-pair.ts';

const block = 4096;

/** A pair whose serving node's element has just failed. */
async function disklessPair(options: ConstructorParameters<typeof MirrorPair>[0] = {}): Promise<Worn> {
  const worn = await wornPair(options);
  await worn.pair.write('alpha', 0, pattern(block, 1));
  worn.disks.alpha.failWrites = 'HM_IO_WRITE';
  await worn.pair.write('alpha', block, pattern(block, 2));
  return worn;
}

const rejection = (promise: Promise<unknown>): Promise<string | undefined | null> =>
  promise.then(
    () => null,
    (error: unknown) => (error as HotMirrorError).rule,
  );

describe('A serving node whose element fails', () => {
  for (const kind of ['write', 'flush'] as const)
    it(`at a ${kind} goes on through the peer: nothing ends with an error, and administrators are told (write.error)`, async () => {
      const { pair, disks } = await wornPair({ delayMs: 5 });
      await pair.write('alpha', 0, pattern(block, 1));
      if (kind === 'write') disks.alpha.failWrites = 'HM_IO_WRITE';
      else disks.alpha.failFlushes = true;
      const mirror = pair.mirror('alpha');
      const into = new Uint8Array(block);
      const endings = [
        asked((done) => mirror.write(block, pattern(block, 2), {}, done)),
        asked((done) => mirror.write(2 * block, pattern(block, 3), { fua: true }, done)),
        asked((done) => mirror.flush(done)),
        asked((done) => mirror.read(0, into, done)),
        asked((done) => mirror.writeZeroes(3 * block, block, {}, done)),
      ];
      await pair.until(() => endings.every(({ code }) => code !== null), 'the requests', 5_000);
      expect(endings.map(({ code }) => code)).to.deep.equal(['done', 'done', 'done', 'done', 'done']);
      expect(into).to.deep.equal(pattern(block, 1));
      expect(mirror.state()).to.include({ serving: 'yes', element: 'failed', peerElement: 'uptodate', connection: 'connected' });
      const told = pair.told.filter(({ name }) => name === 'element:failed');
      expect(told.map(({ node, event }) => [node, event.class, event.rule])).to.deep.equal([['alpha', 1, 'write.error']]);
      expect(mirror.snapshot().metadata.state).to.equal('failed');
      expect(await pair.read('alpha', block, 2 * block)).to.deep.equal(new Uint8Array([...pattern(block, 2), ...pattern(block, 3)]));
    });

  it('completes nothing before the peer durably holds a generation of its own, with everything dirty (lineage.mint)', async () => {
    const { pair, disks } = await wornPair({ delayMs: 5 });
    const before = pair.mirror('alpha').state().currentId;
    disks.alpha.failWrites = 'HM_IO_WRITE';
    const ending = asked((done) => pair.mirror('alpha').write(0, pattern(block, 2), {}, done));
    let minted = false;
    const check = (): boolean => {
      const { current, base } = pair.mirror('beta').snapshot().metadata;
      minted = current !== before && base === before;
      if (ending.code !== null) expect(minted, 'completed before the peer minted').to.equal(true);
      return ending.code !== null;
    };
    await pair.until(check, 'the write');
    expect(pair.mirror('beta').state().dirtyBytes).to.equal(pair.disks.beta.sizeBytes);
    expect(pair.mirror('alpha').snapshot().metadata.current).to.equal(before);
  });

  it('reads nothing from the failed element any more', async () => {
    const { pair, disks } = await disklessPair();
    disks.alpha.log.length = 0;
    await pair.write('alpha', 0, pattern(block, 7));
    await pair.flush('alpha');
    expect(await pair.read('alpha', 0, block)).to.deep.equal(pattern(block, 7));
    expect(disks.alpha.log).to.deep.equal([]);
  });

  it('parks while the link is down, and goes on through the same peer when it is back (serve.fresh, write.error)', async () => {
    const { pair } = await disklessPair();
    const mirror = pair.mirror('alpha');
    pair.link.cut();
    await pair.until(() => mirror.state().serving === 'parked', 'the loss');
    const into = new Uint8Array(block);
    const endings = [asked((done) => mirror.write(0, pattern(block, 8), {}, done)), asked((done) => mirror.read(block, into, done))];
    const { connectionId } = mirror.state();
    const alone = mirror.goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId });
    expect(await pair.clock.settled(rejection(alone), 1_000)).to.equal('write.error');
    await pair.clock.runFor(3_000);
    expect(endings.map(({ code }) => code)).to.deep.equal([null, null]);
    pair.link.heal();
    await pair.until(() => endings.every(({ code }) => code !== null), 'the requests', 10_000);
    expect(endings.map(({ code }) => code)).to.deep.equal(['done', 'done']);
    expect(into).to.deep.equal(pattern(block, 2));
    expect(pair.mirror('beta').state()).to.include({ element: 'uptodate', role: 'target' });
    expect(mirror.state()).to.include({ serving: 'yes', element: 'failed', peerElement: 'uptodate' });
    expect(pair.disks.beta.contents.subarray(0, block)).to.deep.equal(pattern(block, 8));
  });

  it('goes on through a peer that stopped in order or died, once it is back: its element is not outdated (node.leave)', async () => {
    for (const leaves of [true, false]) {
      const { pair } = await disklessPair();
      const mirror = pair.mirror('alpha');
      if (leaves) await pair.clock.settled(pair.mirror('beta').leave(), 5_000);
      if (leaves) await pair.clock.settled(pair.mirror('beta').close(), 5_000);
      pair.kill('beta');
      await pair.until(() => mirror.state().serving === 'parked', 'the loss');
      expect(mirror.state().peerBehind).to.equal(false);
      const ending = asked((done) => mirror.write(0, pattern(block, 9), {}, done));
      await pair.clock.runFor(2_000);
      expect(ending.code).to.equal(null);
      await pair.open('beta');
      expect(pair.mirror('beta').snapshot().metadata.state).to.equal('consistent');
      await pair.until(() => ending.code !== null, 'the write', 10_000);
      expect(ending.code).to.equal('done');
      expect(pair.mirror('beta').state().element).to.equal('uptodate');
    }
  });

  it('hands over to the peer, which holds everything (handover)', async () => {
    const { pair } = await disklessPair();
    const { handedOver } = await pair.clock.settled(pair.mirror('alpha').demote(), 5_000);
    expect(handedOver).to.equal(true);
    await pair.clock.settled(pair.mirror('beta').promote({ epoch: { number: 2, owner: 'beta' }, alone: true }), 5_000);
    expect(await pair.read('beta', 0, 2 * block)).to.deep.equal(new Uint8Array([...pattern(block, 1), ...pattern(block, 2)]));
  });

  it('makes no current element of the failed one, were its failure not recorded: the peer is the source of everything (lineage.base)', async () => {
    const { pair, disks } = await wornPair();
    const mirror = pair.mirror('alpha');
    await pair.write('alpha', 0, pattern(block, 1));
    const metadata = pair.metadata.alpha.contents.slice();
    disks.alpha.failFlushes = true;
    await pair.flush('alpha');
    await pair.write('alpha', 0, pattern(block, 4));
    expect(mirror.state().element).to.equal('failed');
    pair.kill('alpha');
    disks.alpha.failFlushes = false;
    pair.metadata.alpha.contents.set(metadata);
    // What the failed flush was to make durable is gone.
    pair.disks.alpha.contents.fill(0);
    await pair.open('alpha');
    await pair.until(() => pair.mirror('alpha').state().element === 'uptodate', 'the copy');
    expect(pair.mirror('alpha').state().role).to.equal('target');
    expect(pair.disks.alpha.contents.subarray(0, block)).to.deep.equal(pattern(block, 4));
    expect(pair.identical).to.equal(true);
  });

  it('ends with an error where the peer fails too, is lost before it confirmed, or was not uptodate (write.error)', async () => {
    const failsToo = await disklessPair();
    failsToo.disks.beta.failWrites = 'HM_IO_WRITE';
    const first = asked((done) => failsToo.pair.mirror('alpha').write(0, pattern(block, 5), {}, done));
    await failsToo.pair.until(() => first.code !== null, 'the write', 5_000);
    expect([first.code, failsToo.pair.mirror('alpha').state().serving]).to.deep.equal(['HM_IO_WRITE', 'no']);
    expect(
      failsToo.pair.told.filter(({ node, name, event }) => node === 'alpha' && name === 'element:failed' && event.class === 3),
    ).to.have.length(1);

    const lost = await wornPair({ delayMs: 20 });
    lost.disks.alpha.failWrites = 'HM_IO_WRITE';
    const second = asked((done) => lost.pair.mirror('alpha').write(0, pattern(block, 5), {}, done));
    await lost.pair.clock.runFor(5);
    lost.pair.kill('beta');
    await lost.pair.until(() => second.code !== null, 'the write', 5_000);
    expect([second.code, lost.pair.mirror('alpha').state().serving]).to.deep.equal(['HM_IO_WRITE', 'no']);

    const parked = await wornPair();
    parked.pair.link.cut();
    await parked.pair.until(() => parked.pair.mirror('alpha').state().serving === 'parked', 'the loss');
    const order = {
      epoch: { number: 2, owner: 'alpha' },
      rule: 'alone',
      connectionId: parked.pair.mirror('alpha').state().connectionId,
    } as const;
    await parked.pair.clock.settled(parked.pair.mirror('alpha').goAlone(order), 1_000);
    parked.disks.alpha.failWrites = 'HM_IO_WRITE';
    const third = asked((done) => parked.pair.mirror('alpha').write(0, pattern(block, 5), {}, done));
    await parked.pair.until(() => third.code !== null, 'the write', 5_000);
    expect([third.code, parked.pair.mirror('alpha').state().serving]).to.deep.equal(['HM_IO_WRITE', 'no']);
  });

  it('with a full disk goes on with its element: that write alone fails (write.error)', async () => {
    const { pair, disks } = await wornPair();
    disks.alpha.failWrites = 'HM_NO_SPACE';
    const ending = asked((done) => pair.mirror('alpha').write(0, pattern(block, 5), {}, done));
    await pair.until(() => ending.code !== null, 'the write', 5_000);
    expect(ending.code).to.equal('HM_NO_SPACE');
    disks.alpha.failWrites = null;
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');
    expect(pair.mirror('alpha').state()).to.include({ serving: 'yes', element: 'uptodate' });
    expect(pair.identical).to.equal(true);
  });
});
