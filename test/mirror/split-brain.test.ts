import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import type { ResolveOrder } from '../../src/vocabulary.ts';
import { outcome } from './support/endings.ts';
import { MirrorPair, other, pattern } from './support/mirror-pair.ts';
import type { NodeName } from './support/mirror-pair.ts';

const block = 4096;
const extent = 65_536;
const nodes: readonly NodeName[] = ['alpha', 'beta'];

/** The word that names the survivor, about the split as a node sees it. */
function word(pair: MirrorPair, survivor: NodeName, seenBy: NodeName = survivor): ResolveOrder {
  const { split } = pair.mirror(seenBy).state();
  if (!split) throw new Error(`${seenBy} sees no split`);
  return { survivor, judged: split.judged };
}

async function resolve(pair: MirrorPair, node: NodeName, order: ResolveOrder): Promise<HotMirrorError | null> {
  return pair.clock.settled(
    pair
      .mirror(node)
      .resolve(order)
      .then(
        () => null,
        (error: unknown) => error as HotMirrorError,
      ),
    5_000,
  );
}

const splitSeen = (pair: MirrorPair): boolean => nodes.every((node) => pair.mirror(node).state().split !== null);

/** Every link is cut, alpha goes on alone, beta takes over: what one-owner rules exist to prevent. */
async function cutInTwo(options: ConstructorParameters<typeof MirrorPair>[0] = {}): Promise<MirrorPair> {
  const pair = await new MirrorPair(options).start();
  pair.link.cut();
  await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
  const { connectionId } = pair.mirror('alpha').state();
  await pair.clock.settled(pair.mirror('alpha').goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }), 1_000);
  await pair.clock.settled(pair.mirror('beta').seal(), 1_000);
  await pair.clock.settled(pair.mirror('beta').promote({ epoch: { number: 2, owner: 'beta' }, alone: true }), 1_000);
  return pair;
}

/** Both wrote alone: alpha the first extent and the fifth, beta the first and the ninth. */
async function split(options: ConstructorParameters<typeof MirrorPair>[0] = {}): Promise<MirrorPair> {
  const pair = await cutInTwo(options);
  await pair.write('alpha', 0, pattern(block, 1));
  await pair.write('alpha', 4 * extent, pattern(block, 1));
  await pair.write('beta', 0, pattern(block, 2));
  await pair.write('beta', 8 * extent, pattern(block, 2));
  pair.link.heal();
  await pair.until(() => splitSeen(pair), 'split brain');
  return pair;
}

describe('a split brain', () => {
  it('is seen by both sides, with the generations of both, and nothing is copied (lineage.split)', async () => {
    const pair = await split();
    const [mine, theirs] = nodes.map((node) => pair.mirror(node).state());
    expect(mine?.split).to.deep.equal({ rule: 'lineage.split', judged: { alpha: mine?.currentId, beta: theirs?.currentId } });
    expect(theirs?.split).to.deep.equal(mine?.split);
    await pair.clock.runFor(60_000);
    expect([pair.disks.alpha.contents[0], pair.disks.beta.contents[0]]).to.deep.equal([1, 2]);
    for (const node of nodes) expect(pair.mirror(node).state()).to.include({ serving: 'no', connection: 'split-brain' });
  });

  it('is over for the element that gave way by word: it may be taken out, and that of the survivor may not (element.off)', async () => {
    const pair = await split();
    const order = word(pair, 'beta');
    pair.link.cut();
    for (const node of nodes) expect(await resolve(pair, node, order)).to.equal(null);
    const off = (node: NodeName): Promise<string> =>
      pair.clock.settled(outcome(pair.mirror(node).setElement('off')), 10_000, 'the order to take it out');
    expect([await off('beta'), await off('alpha')]).to.deep.equal(['HM_REFUSED element.off', 'done']);
  });

  it('does not shake hands without end: a bounded number in a minute, with a back-off (lineage.decide)', async () => {
    const pair = await split();
    const before = pair.names('alpha').filter((name) => name === 'link:connected').length;
    await pair.clock.runFor(60_000);
    const handshakes = pair.names('alpha').filter((name) => name === 'link:connected').length - before;
    // Half of the longest back-off on the mean, and the dials of both sides.
    expect(handshakes).to.be.within(20, 150);
  });

  it('does not arise from restarts of either node, whoever wrote alone (lineage.base)', async () => {
    const pair = await new MirrorPair().start();
    let number = 1;
    for (let round = 0; round < 6; round += 1) {
      const restarted = nodes[round % 2]!;
      const serving = nodes.find((node) => pair.mirrors[node]?.state().serving !== 'no')!;
      await pair.clock.settled(pair.mirror(restarted).close(), 5_000);
      number += 1;
      const epoch = { number, owner: other(restarted) };
      if (serving === restarted) {
        await pair.clock.settled(pair.mirror(epoch.owner).seal(), 1_000);
        await pair.clock.settled(pair.mirror(epoch.owner).promote({ epoch, alone: true, force: true }), 1_000);
      } else {
        await pair.until(() => pair.mirror(serving).state().serving === 'parked', 'the loss');
        const { connectionId } = pair.mirror(serving).state();
        await pair.clock.settled(pair.mirror(serving).goAlone({ epoch, rule: 'alone', connectionId }), 1_000);
      }
      await pair.write(epoch.owner, round * extent, pattern(block, 10 + round));
      await pair.open(restarted);
      await pair.until(() => pair.mirror(restarted).state().element === 'uptodate', `the resync of round ${String(round)}`);
      expect(pair.identical).to.equal(true);
    }
    expect(pair.told.filter(({ event }) => event.rule === 'lineage.split')).to.deep.equal([]);
  });

  it('does not arise from the replacement of a node by a blank one (lineage.fill)', async () => {
    const pair = await new MirrorPair().start();
    await pair.write('alpha', 0, pattern(block, 7));
    await pair.clock.settled(pair.mirror('beta').close(), 5_000);
    pair.disks.beta.contents.fill(0xee);
    await pair.initNode('beta', 'blank', true);
    await pair.open('beta');
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the first copy');
    expect(pair.identical).to.equal(true);
    expect(pair.told.filter(({ event }) => event.rule === 'lineage.split' || event.rule === 'lineage.unrelated')).to.deep.equal([]);
  });

  it('never makes elements pass for equal whose map says that they differ (lineage.union)', async () => {
    const pair = await cutInTwo();
    await pair.write('beta', 4 * extent, pattern(block, 2));
    await pair.clock.settled(pair.mirror('beta').close(), 5_000);
    pair.link.heal();
    await pair.open('beta');
    // Alpha completed nothing alone: its generation is beta's base, and beta's map is what differs.
    await pair.until(
      () =>
        nodes.some((node) => pair.mirror(node).state().element === 'uptodate') || pair.mirror('alpha').state().connection !== 'connecting',
      'a decision',
    );
    await pair.clock.runFor(20_000);
    const states = nodes.map((node) => pair.mirror(node).state());
    if (!pair.identical) for (const state of states) expect(state.peerElement).not.to.equal('uptodate');
  });
});

describe('the end of a split brain (lineage.resolve)', () => {
  for (const survivor of nodes)
    it(`makes both elements what ${survivor} holds, and copies only what either wrote since the common state`, async () => {
      const pair = await split();
      const loser = other(survivor);
      const image = pair.disks[survivor].contents.slice();
      const order = word(pair, survivor, loser);
      for (const node of nodes) await pair.clock.settled(pair.mirror(node).raiseEpoch({ number: 3, owner: survivor }), 1_000);
      expect(await resolve(pair, survivor, order)).to.equal(null);
      expect(await resolve(pair, loser, order)).to.equal(null);
      await pair.until(() => pair.mirror(loser).state().element === 'uptodate', 'the resync');
      expect(pair.identical).to.equal(true);
      expect(Buffer.compare(pair.disks[survivor].contents, image)).to.equal(0);
      const started = pair.told.filter(({ name }) => name === 'resync:started').at(-1);
      expect(started?.event.text).to.equal(`3 extents are copied to ${loser}`);
      for (const node of nodes) expect(pair.mirror(node).state()).to.deep.include({ split: null, connection: 'connected' });
    });

  it('holds across restarts of the loser and before the survivor is back', async () => {
    const pair = await split();
    const order = word(pair, 'alpha');
    pair.kill('alpha');
    expect(await resolve(pair, 'beta', order)).to.equal(null);
    expect(pair.mirror('beta').state().element).to.equal('outdated');
    pair.kill('beta');
    await pair.open('beta');
    expect(pair.mirror('beta').state().element).to.equal('outdated');
    await pair.open('alpha');
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(pair.identical).to.equal(true);
    expect(pair.disks.beta.contents[0]).to.equal(1);
  });

  it('goes on after the link drops in the middle of the copy', async () => {
    const pair = await split({ limits: { resyncWindowBytes: extent, retryMaxMs: 200 } });
    const order = word(pair, 'alpha');
    expect(await resolve(pair, 'beta', order)).to.equal(null);
    await pair.until(() => pair.mirror('beta').state().element === 'inconsistent', 'the copy');
    pair.link.break();
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
    expect(pair.identical).to.equal(true);
  });

  it('does nothing to a newer split than the one that was judged', async () => {
    const pair = await split();
    const order = word(pair, 'alpha');
    pair.kill('alpha');
    expect(await resolve(pair, 'beta', order)).to.equal(null);
    // Before anything is copied beta is served by force and written: a newer split.
    await pair.clock.settled(pair.mirror('beta').promote({ epoch: { number: 5, owner: 'beta' }, alone: true, force: true }), 1_000);
    await pair.write('beta', 12 * extent, pattern(block, 5));
    await pair.clock.settled(pair.mirror('beta').close(), 5_000);
    await pair.open('alpha');
    await pair.open('beta');
    await pair.until(() => splitSeen(pair), 'the newer split');
    // Asked again with the old word: the generation is another one.
    const refused = await resolve(pair, 'beta', order);
    expect(refused).to.include({ code: 'HM_REFUSED', rule: 'lineage.resolve' });
    await pair.clock.runFor(10_000);
    expect(pair.disks.beta.contents[12 * extent]).to.equal(5);
    expect(splitSeen(pair)).to.equal(true);
  });

  it('waits while both nodes were told to give way, and follows the last word', async () => {
    const pair = await split();
    const [forAlpha, forBeta] = [word(pair, 'alpha'), word(pair, 'beta')];
    pair.link.cut();
    await pair.clock.runFor(5_000);
    expect(await resolve(pair, 'beta', forAlpha)).to.equal(null);
    expect(await resolve(pair, 'alpha', forBeta)).to.equal(null);
    pair.link.heal();
    await pair.clock.runFor(20_000);
    expect([pair.disks.alpha.contents[0], pair.disks.beta.contents[0]]).to.deep.equal([1, 2]);
    expect(splitSeen(pair)).to.equal(true);
    expect(await resolve(pair, 'beta', forBeta)).to.equal(null);
    await pair.until(() => pair.mirror('alpha').state().element === 'uptodate', 'the resync');
    expect(pair.disks.alpha.contents[0]).to.equal(2);
    expect(pair.identical).to.equal(true);
  });

  it('is refused while the loser serves, and for a survivor that is inconsistent (lineage.source)', async () => {
    const pair = await split();
    const order = word(pair, 'alpha');
    await pair.clock.settled(pair.mirror('beta').promote({ epoch: { number: 3, owner: 'beta' }, alone: true, force: true }), 1_000);
    expect(await resolve(pair, 'beta', order)).to.include({ code: 'HM_REFUSED', rule: 'lineage.resolve' });
    const second = await split({ limits: { resyncWindowBytes: extent } });
    const other = word(second, 'alpha');
    expect(await resolve(second, 'beta', other)).to.equal(null);
    await second.until(() => second.mirror('beta').state().element === 'inconsistent', 'the copy');
    second.link.cut();
    await second.clock.runFor(5_000);
    expect(await resolve(second, 'beta', { ...other, survivor: 'beta' })).to.include({ code: 'HM_REFUSED', rule: 'lineage.source' });
  });

  it('is refused where no generations were judged', async () => {
    const pair = await split();
    expect(await resolve(pair, 'beta', { survivor: 'alpha', judged: {} })).to.include({ code: 'HM_REFUSED', rule: 'lineage.resolve' });
  });
});

describe('whenSplit (lineage.unchanged)', () => {
  /** Alpha only reads alone, beta writes. */
  const readAlone = async (whenSplit?: 'discard-unchanged'): Promise<MirrorPair> => {
    const pair = await cutInTwo(whenSplit ? { whenSplit } : {});
    await pair.read('alpha', 0, block);
    await pair.write('beta', 0, pattern(block, 2));
    return pair;
  };

  it('is ask by default: nothing is discarded, not even a side that only read', async () => {
    const pair = await readAlone();
    pair.link.heal();
    await pair.until(() => splitSeen(pair), 'split brain');
    await pair.clock.runFor(30_000);
    expect(splitSeen(pair)).to.equal(true);
  });

  it('with discard-unchanged lets the side give way that only read', async () => {
    const pair = await readAlone('discard-unchanged');
    pair.link.heal();
    await pair.until(() => pair.mirror('beta').state().peerElement === 'uptodate', 'the resync');
    expect(pair.identical).to.equal(true);
    expect(pair.disks.alpha.contents[0]).to.equal(2);
    expect(pair.told.filter(({ event }) => event.rule === 'lineage.unchanged')).to.have.length(2);
  });

  it('with discard-unchanged discards nothing once a write or a flush was begun alone', async () => {
    for (const change of ['write', 'flush'] as const) {
      const pair = await readAlone('discard-unchanged');
      if (change === 'write') await pair.write('alpha', 4 * extent, pattern(block, 1));
      else await pair.flush('alpha');
      expect(pair.mirror('alpha').snapshot().metadata.unchanged).to.equal(false);
      pair.link.heal();
      await pair.until(() => splitSeen(pair), 'split brain');
      await pair.clock.runFor(10_000);
      expect(splitSeen(pair)).to.equal(true);
    }
  });

  it('makes it durable that something was begun before it is issued', async () => {
    const pair = await readAlone('discard-unchanged');
    expect(pair.mirror('alpha').snapshot().metadata.unchanged).to.equal(true);
    pair.mirror('alpha').write(0, pattern(block, 1), {}, () => undefined);
    expect(pair.disks.alpha.contents[0]).to.equal(0);
    await pair.until(() => pair.disks.alpha.contents[0] === 1, 'the write');
    expect(pair.mirror('alpha').snapshot().metadata.unchanged).to.equal(false);
  });
});

describe('One epoch number with two owners, as their data link shows it (boot.conflict)', () => {
  const own = { number: 5, owner: 'alpha' };
  const rival = { number: 5, owner: 'beta' };

  it('is told with the other epoch, and nothing is served in it', async () => {
    const pair = await new MirrorPair().init();
    await pair.open('alpha', { epoch: own });
    await pair.open('beta', { epoch: rival });
    await pair.until(() => nodes.every((node) => pair.mirror(node).state().rival !== null), 'the dispute');
    expect(pair.mirror('alpha').state()).to.deep.include({ connection: 'split-brain', epoch: own, rival });
    const promoted = pair.clock.settled(pair.mirror('alpha').promote({ epoch: own, alone: true, force: true }), 60_000, 'the promotion');
    expect(await outcome(promoted)).to.equal('HM_STALE_EPOCH lineage.epoch');
  });

  it('is over with a higher epoch', async () => {
    const pair = await new MirrorPair().init();
    await pair.open('alpha', { epoch: own });
    await pair.open('beta', { epoch: rival });
    await pair.until(() => pair.mirror('alpha').state().rival !== null, 'the dispute');
    await pair.clock.settled(pair.mirror('alpha').raiseEpoch({ number: 6, owner: 'alpha' }), 60_000, 'the order');
    await pair.until(() => nodes.every((node) => pair.mirror(node).state().connection === 'connected'), 'the end of it');
    expect(pair.mirror('beta').state()).to.deep.include({ rival: null, epoch: { number: 6, owner: 'alpha' } });
  });
});
