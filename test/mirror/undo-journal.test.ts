import { expect } from 'chai';

import type { MemoryDevice } from '../../src/device/memory.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import { preImageLogBytes } from '../../src/mirror/pre-image-log.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4096;
const extent = 65_536;
const extents = 64;

async function outcome(pair: MirrorPair, promise: Promise<unknown>): Promise<HotMirrorError | null> {
  return pair.clock.settled(
    promise.then(
      () => null,
      (error: unknown) => error as HotMirrorError,
    ),
    60_000,
  );
}

/** What alpha writes while beta is away. */
const written = Array.from({ length: 12 }, (_, at) => 2 * at);

/** Beta was away while alpha wrote; it comes back, and the window is so small that the copy takes its time. */
async function behind(journalExtents = extents, whenFull: 'give-up' | 'refuse' = 'give-up'): Promise<MirrorPair> {
  const undoJournal = { sizeBytes: preImageLogBytes(journalExtents, extent), whenFull };
  const pair = await new MirrorPair({ undoJournal, limits: { resyncWindowBytes: extent, retryMaxMs: 200 }, delayMs: 5 }).start();
  pair.disks.alpha.contents.fill(9, 32 * extent);
  pair.disks.beta.contents.fill(9, 32 * extent);
  await pair.write('alpha', 0, pattern(block, 1));
  await pair.flush('alpha');
  pair.kill('beta');
  await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
  const { connectionId } = pair.mirror('alpha').state();
  await pair.clock.settled(pair.mirror('alpha').goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }), 1_000);
  for (const at of written) await pair.write('alpha', at * extent, pattern(block, 2));
  return pair;
}

/** The copy has begun, and alpha dies when at least so many extents of beta were overwritten. */
async function interrupted(pair: MirrorPair, overwritten = 1): Promise<void> {
  await pair.open('beta');
  await pair.until(() => written.filter((at) => pair.disks.beta.contents[at * extent] === 2).length >= overwritten, 'the copy');
  pair.kill('alpha');
  await pair.until(() => pair.mirror('beta').state().connection === 'connecting', 'the loss');
}

describe('the undo journal (resync.undo)', () => {
  it('takes a target back to what it was before the resync, outdated, although its source died in the middle', async () => {
    const pair = await behind();
    const before = pair.disks.beta.contents.slice();
    await interrupted(pair);
    expect(pair.mirror('beta').state()).to.include({ element: 'inconsistent', canRollBack: true });
    expect(await outcome(pair, pair.mirror('beta').rollBack())).to.equal(null);
    expect(pair.mirror('beta').state()).to.include({ element: 'outdated', canRollBack: false });
    expect(Buffer.compare(pair.disks.beta.contents, before)).to.equal(0);
    expect(pair.names('beta')).to.include('element:rolled-back');
  });

  it('takes back what the application wrote meanwhile, also where nothing was dirty', async () => {
    const pair = await behind();
    const before = pair.disks.beta.contents.slice();
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().connection === 'connected', 'the copy');
    await pair.write('alpha', 25 * extent + block, pattern(block, 7));
    expect(pair.disks.beta.contents[25 * extent + block]).to.equal(7);
    pair.kill('alpha');
    await pair.until(() => pair.mirror('beta').state().connection !== 'connected', 'the loss');
    expect(await outcome(pair, pair.mirror('beta').rollBack())).to.equal(null);
    expect(Buffer.compare(pair.disks.beta.contents, before)).to.equal(0);
  });

  it('marks what it restores as dirty, so that the source copies it again although it knew it as copied (lineage.union)', async () => {
    const pair = await behind();
    await interrupted(pair, 2);
    expect(await outcome(pair, pair.mirror('beta').rollBack())).to.equal(null);
    await pair.open('alpha');
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(pair.identical).to.equal(true);
  });

  it('is of use to an operator who serves the target by force, and to nobody else', async () => {
    const pair = await behind();
    await interrupted(pair);
    const epoch = { number: 3, owner: 'beta' };
    expect(await outcome(pair, pair.mirror('beta').promote({ epoch, alone: true }))).to.include({ code: 'HM_REFUSED' });
    const asItIs = { epoch, alone: true, force: true, rollBack: false };
    expect(await outcome(pair, pair.mirror('beta').promote(asItIs))).to.include({ code: 'HM_REFUSED' });
    expect(pair.mirror('beta').state()).to.include({ element: 'inconsistent', canRollBack: true });
    expect(await outcome(pair, pair.mirror('beta').promote({ epoch, alone: true, force: true }))).to.equal(null);
    expect(await pair.read('beta', 0, block)).to.deep.equal(pattern(block, 1));
    await pair.write('beta', 0, pattern(block, 3));
    await pair.open('alpha');
    // What alpha completed alone is not on beta: two histories, and both say so.
    await pair.until(() => pair.mirror('alpha').state().split !== null && pair.mirror('beta').state().split !== null, 'the split');
  });

  it('leaves no mark on an element that survived, once the other may hold the same: a crash of that one makes it no source', async () => {
    const undoJournal = { sizeBytes: preImageLogBytes(extents, extent), whenFull: 'give-up' } as const;
    const pair = await new MirrorPair({ undoJournal, limits: { resyncWindowBytes: extent, retryMaxMs: 200 }, delayMs: 5 }).start();
    for (const at of written) await pair.write('alpha', at * extent, pattern(block, 2));
    pair.link.cut();
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    pair.link.heal();
    await pair.until(() => pair.mirror('beta').state().canRollBack, 'the resync');
    pair.kill('alpha');
    await pair.until(() => pair.mirror('beta').state().connection === 'connecting', 'the loss');
    // Its source held the same generation, and may have completed what is taken back.
    const promoted = pair.mirror('beta').promote({ epoch: { number: 2, owner: 'beta' }, alone: true, force: true });
    expect(await outcome(pair, promoted)).to.equal(null);
    expect(pair.mirror('beta').snapshot().metadata.behind).to.equal(true);
    await pair.write('beta', 0, pattern(block, 3));
    await pair.open('alpha');
    await pair.until(() => pair.mirror('alpha').state().split !== null && pair.mirror('beta').state().split !== null, 'the split');
    const order = { judged: pair.mirror('beta').state().split!.judged, survivor: 'beta' };
    for (const node of ['alpha', 'beta'] as const) expect(await outcome(pair, pair.mirror(node).resolve(order))).to.equal(null);
    await pair.until(() => pair.mirror('alpha').state().element === 'uptodate', 'the adoption');
    pair.kill('alpha');
    await pair.until(() => pair.mirror('beta').state().serving === 'parked', 'the loss');
    await pair.open('alpha');
    await pair.until(() => pair.mirror('beta').state().peerElement === 'uptodate', 'the resync');
    expect(pair.mirror('beta').state()).to.include({ serving: 'yes', role: 'source', dirtyBytes: 0 });
    expect(await pair.read('beta', 0, block)).to.deep.equal(pattern(block, 3));
  });

  it('goes on after a crash of the target: the journal is found again, and goes back as far', async () => {
    const pair = await behind();
    const before = pair.disks.beta.contents.slice();
    await interrupted(pair);
    pair.kill('beta');
    await pair.open('beta');
    expect(pair.mirror('beta').state()).to.include({ element: 'inconsistent', canRollBack: true });
    await pair.open('alpha');
    await pair.until(
      () => pair.disks.beta.contents[4 * extent] === 2 || pair.mirror('beta').state().element === 'uptodate',
      'more of the copy',
    );
    if (pair.mirror('beta').state().element === 'uptodate') return;
    pair.kill('alpha');
    await pair.until(() => pair.mirror('beta').state().connection !== 'connected', 'the loss');
    expect(await outcome(pair, pair.mirror('beta').rollBack())).to.equal(null);
    expect(Buffer.compare(pair.disks.beta.contents, before)).to.equal(0);
  });

  it('is of no use once the resync has completed: there is nothing to go back to', async () => {
    const pair = await behind();
    await pair.open('beta');
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(pair.mirror('beta').snapshot().metadata.undo).to.equal(null);
    expect(await outcome(pair, pair.mirror('beta').rollBack())).to.equal(null);
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
    expect(pair.identical).to.equal(true);
  });

  it('is given up with an event of class 1 where it has no room, and the resync goes on', async () => {
    const pair = await behind(2);
    await pair.open('beta');
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(pair.told.find(({ node, name }) => node === 'beta' && name === 'undo:given-up')?.event.class).to.equal(1);
    expect(pair.identical).to.equal(true);
  });

  it('is given up in the middle where the application fills it', async () => {
    const pair = await behind(written.length + 1);
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().connection === 'connected', 'the copy');
    for (const at of [25, 26, 27, 28]) await pair.write('alpha', at * extent, pattern(block, 6));
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(pair.names('beta')).to.include('undo:given-up');
    expect(pair.identical).to.equal(true);
  });

  it('keeps the resync from beginning where it has no room and must not be given up', async () => {
    const pair = await behind(2, 'refuse');
    const before = pair.disks.beta.contents.slice();
    await pair.open('beta');
    await pair.clock.runFor(10_000);
    expect(pair.mirror('beta').state().element).not.to.equal('inconsistent');
    expect(pair.mirror('beta').snapshot().metadata.state).to.equal('consistent');
    expect(Buffer.compare(pair.disks.beta.contents, before)).to.equal(0);
    expect(pair.told.some(({ name, event }) => name === 'link:refused' && event.rule === 'resync.undo')).to.equal(true);
  });

  it('refuses where there is none, and leaves a damaged one and its element alone', async () => {
    const without = await behind(0);
    await interrupted(without);
    expect(without.mirror('beta').state().canRollBack).to.equal(false);
    expect(await outcome(without, without.mirror('beta').rollBack())).to.include({ code: 'HM_REFUSED', rule: 'resync.undo' });
    const damaged = await behind();
    await interrupted(damaged, 2);
    const before = damaged.disks.beta.contents.slice();
    const journal = damaged.undoJournals.beta as MemoryDevice;
    journal.contents[2 * block + block + 17] = 0xee;
    expect(await outcome(damaged, damaged.mirror('beta').rollBack())).to.include({ code: 'HM_METADATA_CORRUPT' });
    expect(damaged.mirror('beta').state().element).to.equal('inconsistent');
    expect(Buffer.compare(damaged.disks.beta.contents, before)).to.equal(0);
  });
});
