import { expect } from 'chai';

import type { BlockDevice } from '../../src/device/block-device.ts';
import { ComparePolicy } from '../../src/mirror/compare-policy.ts';
import { compareDigests, digestExtents, digestNames } from '../../src/mirror/digests.ts';
import type { VerifyOrder, VerifyOutcome } from '../../src/mirror/regenerate.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { GatedDevice } from './support/gated-device.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';
import type { NodeName } from './support/mirror-pair.ts';

const block = 4096;
const extent = 65_536;
const mebibyte = 1_048_576;

/** Spoils a byte of an element behind its mirror's back, as a disk may. */
function spoil(pair: MirrorPair, node: NodeName, offsetBytes: number): void {
  const { contents } = pair.disks[node];
  contents[offsetBytes] = 255 - (contents[offsetBytes] ?? 0);
}

function verify(pair: MirrorPair, order: VerifyOrder = {}): Promise<VerifyOutcome> {
  return pair.clock.settled(pair.mirror('alpha').verify(order), 600_000, 'the verify');
}

function findings(pair: MirrorPair): readonly number[] {
  return (['alpha', 'beta'] as const).map((node) => pair.mirror(node).state().findingBytes);
}

/** Writes overlapping ranges from everywhere until it is told to stop. */
function hammer(pair: MirrorPair, seed: number): { readonly stop: () => void; readonly written: () => number } {
  const random = new SeededRandom(seed);
  let going = true;
  let written = 0;
  const write = (): void => {
    if (!going) return;
    const mirror = pair.mirror('alpha');
    const blocks = 1 + random.below(24);
    const offsetBytes = random.below(mirror.sizeBytes / block - blocks) * block;
    const done = (): void => {
      written += 1;
      pair.clock.timer(random.fraction(), write);
    };
    if (random.below(4) === 0) mirror.writeZeroes(offsetBytes, blocks * block, {}, done);
    else mirror.write(offsetBytes, pattern(blocks * block, 1 + random.below(250)), { fua: random.below(9) === 0 }, done);
  };
  for (let depth = 0; depth < 16; depth += 1) write();
  return { stop: () => (going = false), written: () => written };
}

describe('A verify (verify, takeover.verified)', () => {
  it('finds what differs, marks it dirty, tells it, counts it on both nodes and copies nothing', async () => {
    const pair = await new MirrorPair().start();
    for (const at of [3 * extent + 5, 4 * extent, 40 * extent]) spoil(pair, 'beta', at);
    const outcome = await verify(pair);
    expect(outcome).to.deep.include({ differingBytes: 3 * extent, comparedBytes: 4 * mebibyte, unreadableBytes: 0, repaired: false });
    expect(outcome.extents).to.deep.equal([
      { first: 3, count: 2 },
      { first: 40, count: 1 },
    ]);
    expect(findings(pair)).to.deep.equal([3 * extent, 3 * extent]);
    expect(pair.mirror('alpha').state().dirtyBytes).to.equal(3 * extent);
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
    expect(pair.identical).to.equal(false);
    const finished = pair.told.find(({ name }) => name === 'verify:finished')?.event;
    expect(finished).to.deep.include({ class: 1, rule: 'takeover.verified' });
    // Nothing new the second time: what is dirty is known to differ.
    expect((await verify(pair)).differingBytes).to.equal(0);
    expect(findings(pair)).to.deep.equal([3 * extent, 3 * extent]);
  });

  for (const completion of ['sync', 3] as const) {
    it(`makes no finding of writes, however they overlap with what it compares; requests to disks ${completion === 'sync' ? 'complete at once' : 'take their time'}`, async () => {
      for (let seed = 1; seed <= 3; seed += 1) {
        const pair = await new MirrorPair({ completion, delayMs: seed % 3, seed, resync: { minBytesPerSecond: 2 * mebibyte } }).start();
        const writes = hammer(pair, seed);
        await pair.clock.runFor(50);
        expect((await verify(pair)).differingBytes, `seed ${String(seed)}`).to.equal(0);
        expect(writes.written()).to.be.above(100);
        writes.stop();
        await pair.flush('alpha');
        expect(pair.identical).to.equal(true);
      }
    });
  }

  it('finds what a disk spoiled also while writes go on', async () => {
    const pair = await new MirrorPair({ resync: { minBytesPerSecond: 2 * mebibyte } }).start();
    const writes = hammer(pair, 7);
    await pair.clock.runFor(50);
    const verifying = verify(pair);
    pair.clock.timer(1, () => spoil(pair, 'beta', 4 * mebibyte - 1));
    const { differingBytes } = await verifying;
    writes.stop();
    await pair.flush('alpha');
    expect(differingBytes).to.equal(extent);
  });

  it('repairs where it is asked to, from this node to the other, by a resync (resync.begin)', async () => {
    const pair = await new MirrorPair().start();
    spoil(pair, 'beta', 7 * extent);
    expect(await verify(pair, { repair: true })).to.deep.include({ differingBytes: extent, repaired: true });
    expect(pair.identical).to.equal(true);
    expect(findings(pair)).to.deep.equal([0, 0]);
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
  });

  it('is repaired by any reconnect, and after a restart of either node', async () => {
    for (const breaking of ['link', 'alpha', 'beta'] as const) {
      const pair = await new MirrorPair().start();
      spoil(pair, 'beta', 7 * extent);
      await verify(pair);
      if (breaking === 'link') {
        pair.link.break();
      } else {
        pair.kill(breaking);
        await pair.open(breaking);
      }
      const settled = (): boolean =>
        pair.identical && pair.mirror('alpha').state().dirtyBytes === 0 && findings(pair).every((bytes) => bytes === 0);
      await pair.until(settled, `the repair after ${breaking}`);
      await pair.until(() => pair.mirror('beta').state().element === 'uptodate', `the end after ${breaking}`);
    }
  });

  it('is waived by an operator: it bars nothing any more, and is copied by the next resync', async () => {
    const pair = await new MirrorPair().start();
    spoil(pair, 'beta', 7 * extent);
    await verify(pair);
    pair.mirror('alpha').waiveFindings('the file there is unused');
    await pair.clock.runFor(10);
    expect(findings(pair)).to.deep.equal([0, 0]);
    expect(pair.mirror('alpha').state().dirtyBytes).to.equal(extent);
    pair.link.break();
    await pair.until(() => pair.identical, 'the resync');
  });

  it('leaves out what the source cannot read, block by block, and takes what the target cannot read for different', async () => {
    const wrap = (device: BlockDevice, what: string): BlockDevice => ({
      ...device,
      read: (offsetBytes, into, done) => {
        const bad = what === 'alpha:disk' ? 2 * extent : what === 'beta:disk' ? 9 * extent : Infinity;
        if (pairUp && offsetBytes <= bad && bad < offsetBytes + into.byteLength) done(unreadable);
        else device.read(offsetBytes, into, done);
      },
    });
    let pairUp = false;
    const { HotMirrorError } = await import('../../src/errors.ts');
    const unreadable = new HotMirrorError('HM_IO_READ', 'a bad block');
    const pair = await new MirrorPair({ wrap }).start();
    pairUp = true;
    expect(await verify(pair)).to.deep.include({
      unreadableBytes: extent,
      differingBytes: 2 * extent - extent,
      extents: [{ first: 9, count: 1 }],
    });
  });

  it('ends with the connection, when it is given up, and runs once at a time', async () => {
    const slow = { resync: { minBytesPerSecond: extent, maxBytesPerSecond: extent } };
    const pair = await new MirrorPair({ sizeBytes: 4 * mebibyte }).start();
    const code = (outcome: Promise<unknown>): Promise<string> =>
      outcome.then(
        () => 'done',
        (error: unknown) => (error as { code: string }).code,
      );
    pair.mirror('alpha').configureResync(slow.resync);
    const first = code(pair.mirror('alpha').verify());
    expect(await code(pair.mirror('alpha').verify())).to.equal('HM_BUSY');
    await pair.clock.runFor(2_000);
    pair.link.break();
    expect(await pair.clock.settled(first, 10_000)).to.equal('HM_CONNECTION_LOST');
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the reconnect');
    const abort = new AbortController();
    const second = code(pair.mirror('alpha').verify({ signal: abort.signal }));
    await pair.clock.runFor(2_000);
    abort.abort();
    expect(await pair.clock.settled(second, 10_000)).to.equal('HM_ABORTED');
    expect(await code(pair.mirror('beta').verify())).to.equal('HM_NOT_SERVING');
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().connection !== 'connected', 'the loss');
    expect(await code(pair.mirror('alpha').verify())).to.equal('HM_REFUSED');
  });
});

describe('A verify that is given up (verify)', () => {
  it('counts on both nodes what was on its way, so that it can be waived on both', async () => {
    const pair = await new MirrorPair({ delayMs: 50 }).start();
    spoil(pair, 'beta', 0);
    const abort = new AbortController();
    const given = pair
      .mirror('alpha')
      .verify({ signal: abort.signal })
      .catch((error: unknown) => error);
    await pair.clock.runFor(20);
    abort.abort();
    expect(await pair.clock.settled(given, 1_000)).to.include({ code: 'HM_ABORTED' });
    expect(findings(pair)).to.deep.equal([0, 0]);
    expect(() => pair.mirror('alpha').waiveFindings('nobody has seen them')).to.throw('compared');
    await pair.clock.runFor(1_000);
    expect(findings(pair)).to.deep.equal([extent, extent]);
    pair.mirror('alpha').waiveFindings('a test has spoiled it');
    await pair.clock.runFor(1_000);
    expect(findings(pair)).to.deep.equal([0, 0]);
  });
});

describe('regenerate', () => {
  const regenerate = (pair: MirrorPair, full = false): Promise<boolean> =>
    pair.clock.settled(pair.mirror('alpha').regenerate({ full }), 600_000, 'the regeneration');

  it('has nothing to do where both elements are the same, and copies everything with full', async () => {
    const pair = await new MirrorPair().start();
    spoil(pair, 'beta', 7 * extent);
    expect(await regenerate(pair)).to.equal(false);
    expect(pair.identical).to.equal(false);
    expect(await regenerate(pair, true)).to.equal(true);
    expect(pair.identical).to.equal(true);
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
  });
});

describe('regenerate in the middle of an offer (lineage.adopt)', () => {
  it('copies everything all the same, and leaves nothing dirty', async () => {
    let gate: GatedDevice | undefined;
    const pair = await new MirrorPair({
      wrap: (device, what) => (what === 'beta:disk' ? (gate = new GatedDevice(device)) : device),
    }).start();
    pair.link.break();
    gate!.shut();
    // The next connection offers the lineage, for which the target must flush.
    await pair.until(() => pair.mirror('beta').state().role === 'target', 'the new connection');
    const done = pair.mirror('alpha').regenerate({ full: true });
    await pair.clock.runFor(100);
    gate!.open();
    expect(await pair.clock.settled(done, 60_000, 'the regeneration')).to.equal(true);
    expect(pair.mirror('alpha').state()).to.include({ dirtyBytes: 0, peerElement: 'uptodate' });
  });
});

describe('A resync by digests (resync.progress)', () => {
  /** Bytes that are written to beta's element. */
  function counting(written: number[]): (device: BlockDevice, what: string) => BlockDevice {
    return (device, what) => ({
      ...device,
      write: (offsetBytes, from, options, done) => {
        if (what === 'beta:disk') written.push(offsetBytes);
        device.write(offsetBytes, from, options, done);
      },
    });
  }

  for (const digest of digestNames) {
    it(`sends only what differs to a replaced element that holds an old copy, by ${digest}`, async () => {
      const written: number[] = [];
      const pair = new MirrorPair({ wrap: counting(written), digest });
      pair.disks.alpha.contents.fill(7);
      await pair.start();
      pair.kill('beta');
      await pair.initNode('beta', 'blank', true);
      await pair.write('alpha', 5 * extent, pattern(block, 8)).catch(() => undefined);
      spoil(pair, 'beta', 50 * extent);
      written.length = 0;
      await pair.open('beta');
      await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the resync');
      expect(pair.identical).to.equal(true);
      expect([...new Set(written.map((offset) => Math.floor(offset / extent)))].sort((a, b) => a - b)).to.deep.equal([5, 50]);
    });
  }

  it('clears nothing by a digest before the target has flushed: what is the same may lie in its cache only', async () => {
    const order: string[] = [];
    const wrap = (device: BlockDevice, what: string): BlockDevice => ({
      ...device,
      flush: (done) => {
        device.flush((error) => {
          if (what === 'beta:disk') order.push('flushed');
          done(error);
        });
      },
    });
    const pair = await new MirrorPair({ wrap }).start();
    order.length = 0;
    const stop = pair.mirror('alpha').onChange(() => order.push(String(pair.mirror('alpha').state().dirtyBytes)));
    await pair.clock.settled(pair.mirror('alpha').regenerate({ full: true }), 60_000);
    stop();
    const cleared = order.indexOf('0');
    expect(order.slice(0, cleared)).to.include('flushed');
  });

  it('stays true under writes that overlap what is compared, whatever the order of answers (resync.newer)', async () => {
    for (let seed = 1; seed <= 3; seed += 1) {
      const options = { completion: seed % 2 === 0 ? ('sync' as const) : 2, delayMs: seed % 3, seed };
      const pair = await new MirrorPair({ ...options, resync: { minBytesPerSecond: 2 * mebibyte } }).start();
      for (let at = 0; at < 20; at += 1) spoil(pair, 'beta', at * 3 * extent);
      const writes = hammer(pair, seed);
      await pair.clock.runFor(50);
      await pair.clock.settled(pair.mirror('alpha').regenerate({ full: true }), 600_000, 'the regeneration');
      writes.stop();
      await pair.flush('alpha');
      expect(pair.identical, `seed ${String(seed)}`).to.equal(true);
    }
  });
});

describe('ComparePolicy', () => {
  it('compares from the beginning, ever more rarely while most differ, and again as soon as most are the same', () => {
    const policy = new ComparePolicy(100_000);
    const plain: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      policy.asked();
      policy.compared(16, 16);
      let sent = 0;
      for (; !policy.pays; sent += 16) policy.sent(16);
      plain.push(sent);
    }
    expect(plain).to.deep.equal([64, 128, 256, 512, 1_024, 1_024, 1_024]);
    policy.asked();
    policy.compared(16, 8);
    expect(policy.pays).to.equal(true);
    expect(new ComparePolicy(15).pays).to.equal(false);
  });

  it('has as much compared at a time as there is room for while that pays, and one piece to find out whether it pays again', () => {
    const policy = new ComparePolicy(100_000);
    policy.asked();
    expect(policy.pays, 'nothing is known yet').to.equal(true);
    policy.compared(16, 16);
    policy.sent(64);
    expect(policy.pays, 'the next try').to.equal(true);
    policy.asked();
    expect(policy.pays, 'its answer is to come').to.equal(false);
    policy.sent(1_024);
    policy.compared(16, 0);
    policy.asked();
    expect(policy.pays, 'it paid').to.equal(true);
  });
});

describe('Digests of extents', () => {
  it('tell which extents differ, the last one in part', () => {
    for (const digest of digestNames) {
      const mine = new Uint8Array(2.5 * extent);
      const theirs = mine.slice();
      theirs[extent] = 1;
      theirs[2.5 * extent - 1] = 1;
      const differing = compareDigests(digest, digestExtents(digest, mine, extent), digestExtents(digest, theirs, extent));
      expect([...differing]).to.deep.equal([0, 1, 1]);
    }
  });
});
