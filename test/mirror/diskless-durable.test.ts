import { expect } from 'chai';

import { decodeMessages } from '../../src/mirror/wire.ts';
import { asked, outcome } from './support/endings.ts';
import type { Ending } from './support/endings.ts';
import { FaultyPair } from './support/faulty-pair.ts';
import { tapFrames } from './support/frame-tap.ts';
import { pattern } from './support/mirror-pair.ts';
import type { MirrorPairOptions, NodeName } from './support/mirror-pair.ts';

const block = 4_096;
const ackDeadlineMs = 2_000;

async function faultyPair(options: MirrorPairOptions = {}): Promise<FaultyPair> {
  const pair = new FaultyPair({ limits: { ackDeadlineMs }, ...options });
  await pair.start();
  await pair.write('alpha', 0, pattern(block, 1));
  return pair;
}

/** A pair whose serving node's element has failed durably, and that goes on through the peer. */
async function disklessPair(options: MirrorPairOptions = {}): Promise<FaultyPair> {
  const pair = await faultyPair(options);
  pair.worn['alpha:disk'].failWrites = 'HM_IO_WRITE';
  await pair.write('alpha', block, pattern(block, 2));
  expect(pair.stored('alpha').state).to.equal('failed');
  return pair;
}

/** The disk takes no write any more, and is asked for one. */
function failingWrite(pair: FaultyPair): Ending {
  pair.worn['alpha:disk'].failWrites = 'HM_IO_WRITE';
  return asked((done) => pair.mirror('alpha').write(block, pattern(block, 2), {}, done));
}

const classes = (pair: FaultyPair, node: NodeName): readonly number[] =>
  pair.told.filter((told) => told.node === node && told.name === 'element:failed').map(({ event }) => event.class);

const promoted = (pair: FaultyPair): Promise<string> =>
  pair.clock.settled(outcome(pair.mirror('alpha').promote({ epoch: { number: 1, owner: 'alpha' }, alone: false })), 5_000, 'the promotion');

describe('The failure of the element of a serving node (write.error)', () => {
  /** What alpha's element would be taken for, had alpha died when its peer was asked to hold everything. */
  async function watched(): Promise<{ readonly pair: FaultyPair; readonly asked: readonly string[] }> {
    const found: string[] = [];
    const pair: FaultyPair = await faultyPair({
      wrapTransport: (transport, node) =>
        node === 'alpha'
          ? transport
          : tapFrames(transport, (frame) => {
              if (decodeMessages(frame).some(({ name }) => name === 'detach')) found.push(pair.stored('alpha').state);
            }),
    });
    return { pair, asked: found };
  }

  it('is durable before anything is asked of the peer or completes: until then a start would take the element for good', async () => {
    const { pair, asked: found } = await watched();
    const before = pair.stored('beta');
    pair.gates['alpha:metadata'].shut();
    const endings = [failingWrite(pair), asked((done) => pair.mirror('alpha').flush(done))];
    await pair.clock.runFor(ackDeadlineMs / 2);
    expect(endings.map(({ code }) => code)).to.deep.equal([null, null]);
    expect([found, pair.stored('beta')]).to.deep.equal([[], before]);
    pair.gates['alpha:metadata'].open();
    await pair.until(() => endings.every(({ code }) => code === 'done'), 'the requests', 100);
    expect([found, classes(pair, 'alpha')]).to.deep.equal([['failed'], [1]]);
  });

  it('is tried to be recorded again where the metadata fail too for a moment, and the service goes on', async () => {
    const { pair, asked: found } = await watched();
    pair.worn['alpha:metadata'].failWrites = 'HM_IO_WRITE';
    const write = failingWrite(pair);
    await pair.clock.runFor(250);
    expect([write.code, found]).to.deep.equal([null, []]);
    pair.worn['alpha:metadata'].failWrites = null;
    await pair.until(() => write.code !== null, 'the write', 500);
    expect([write.code, found, pair.mirror('alpha').state().serving]).to.deep.equal(['done', ['failed'], 'yes']);
  });

  for (const [why, fault] of [
    ['fail', (pair: FaultyPair): unknown => (pair.worn['alpha:metadata'].failWrites = 'HM_IO_WRITE')],
    ['hang', (pair: FaultyPair): unknown => pair.gates['alpha:metadata'].shut()],
  ] as const)
    it(`ends the service with its error and class 3 where it cannot be recorded, for the metadata ${why}; the peer is asked for nothing`, async () => {
      const { pair, asked: found } = await watched();
      const before = pair.stored('beta');
      fault(pair);
      const write = failingWrite(pair);
      await pair.until(() => write.code !== null, 'the write', 2 * ackDeadlineMs);
      expect([write.code, pair.mirror('alpha').state().serving]).to.deep.equal(['HM_IO_WRITE', 'no']);
      expect([classes(pair, 'alpha').at(-1), found, pair.stored('beta')]).to.deep.equal([3, [], before]);
    });
});

describe('A request that the failed element still has (write.error)', () => {
  it('holds nobody up while it hangs: what came with it and after it completes, and the service is handed over (handover)', async () => {
    const pair = await faultyPair();
    const mirror = pair.mirror('alpha');
    pair.gates['alpha:disk'].shut();
    const into = new Uint8Array(block);
    const endings = [asked((done) => mirror.write(0, pattern(block, 2), {}, done))];
    const read = asked((done) => mirror.read(16 * block, new Uint8Array(block), done));
    pair.worn['alpha:disk'].failFlushes = true;
    endings.push(asked((done) => mirror.flush(done)));
    await pair.clock.runFor(50);
    endings.push(
      asked((done) => mirror.write(8 * block, pattern(block, 3), {}, done)),
      asked((done) => mirror.read(0, into, done)),
    );
    await pair.until(() => endings.every(({ code }) => code !== null), 'the requests', 1_000);
    expect(endings.map(({ code }) => code)).to.deep.equal(['done', 'done', 'done', 'done']);
    expect(into).to.deep.equal(pattern(block, 2));
    expect(await pair.clock.settled(mirror.demote(), 1_000, 'the handover')).to.deep.equal({ handedOver: true });
    const epoch = { number: 2, owner: 'beta' } as const;
    await pair.clock.settled(pair.mirror('beta').promote({ epoch, alone: true }), 5_000, 'the takeover');
    expect(await pair.read('beta', 0, block)).to.deep.equal(pattern(block, 2));
    expect(await pair.read('beta', 8 * block, block)).to.deep.equal(pattern(block, 3));
    expect(read.code, 'a read that the device still has').to.equal(null);
    pair.gates['alpha:disk'].open();
    await pair.clock.runFor(50);
    expect([read.code, ...endings.map(({ code }) => code)]).to.deep.equal(['HM_NOT_SERVING', 'done', 'done', 'done', 'done']);
  });

  it('is answered from the peer where it is a read that ends late: what a failed element still gives out may be old', async () => {
    const pair = await faultyPair();
    const mirror = pair.mirror('alpha');
    pair.gates['alpha:disk'].shut();
    const into = new Uint8Array(block);
    const read = asked((done) => mirror.read(0, into, done));
    pair.worn['alpha:disk'].failFlushes = true;
    pair.disks.alpha.contents.fill(0);
    const flush = asked((done) => mirror.flush(done));
    await pair.until(() => flush.code !== null, 'the flush', 1_000);
    pair.gates['alpha:disk'].open();
    await pair.until(() => read.code !== null, 'the read', 1_000);
    expect([flush.code, read.code]).to.deep.equal(['done', 'done']);
    expect(into).to.deep.equal(pattern(block, 1));
  });
});

describe('A node that serves through its peer (write.error)', () => {
  for (const what of ['alpha:metadata', 'alpha:disk'] as const)
    it(`comes back to it after the link broke although ${what} hangs: a failed element has nothing to say (serve.fresh)`, async () => {
      const pair = await disklessPair();
      pair.gates[what].shut();
      await pair.breakLink();
      pair.link.heal();
      const write = asked((done) => pair.mirror('alpha').write(0, pattern(block, 3), {}, done));
      await pair.until(() => write.code !== null, 'the write', 5_000);
      expect(write.code).to.equal('done');
      expect(pair.mirror('alpha').state()).to.include({ serving: 'yes', element: 'failed', peerElement: 'uptodate' });
    });

  it('serves so again on the same connection where a handover is given up, and can hand over once more (handover)', async () => {
    const pair = await disklessPair();
    const mirror = pair.mirror('alpha');
    const { connectionId } = mirror.state();
    for (const value of [3, 4]) {
      expect(await pair.clock.settled(mirror.demote(), 5_000, 'the handover')).to.deep.equal({ handedOver: true });
      expect(mirror.state().serving).to.equal('no');
      expect(await promoted(pair)).to.equal('done');
      expect(mirror.state()).to.include({ serving: 'yes', element: 'failed', peerElement: 'uptodate', connectionId });
      await pair.write('alpha', 2 * block, pattern(block, value));
      expect(await pair.read('alpha', 2 * block, block)).to.deep.equal(pattern(block, value));
    }
    expect(await pair.clock.settled(mirror.demote(), 5_000, 'the last handover')).to.deep.equal({ handedOver: true });
    const epoch = { number: 2, owner: 'beta' } as const;
    await pair.clock.settled(pair.mirror('beta').promote({ epoch, alone: true }), 5_000, 'the takeover');
    expect(await pair.read('beta', 2 * block, block)).to.deep.equal(pattern(block, 4));
  });

  it('serves not again where the connection, or the peer as it was, is gone: the failed element alone would be promoted (boot.uptodate)', async () => {
    const pair = await disklessPair();
    await pair.clock.settled(pair.mirror('alpha').demote(), 5_000, 'the handover');
    await pair.breakLink();
    pair.link.heal();
    await pair.clock.runFor(3_000);
    expect(await promoted(pair)).to.equal('HM_REFUSED boot.uptodate');
    expect(pair.mirror('alpha').state().serving).to.equal('no');
  });

  it('parks and goes on through it after a handover that was given up, as before it (serve.fresh)', async () => {
    const pair = await disklessPair();
    await pair.clock.settled(pair.mirror('alpha').demote(), 5_000, 'the handover');
    expect(await promoted(pair)).to.equal('done');
    await pair.breakLink();
    expect(pair.mirror('alpha').state().serving).to.equal('parked');
    pair.link.heal();
    await pair.write('alpha', 0, pattern(block, 5));
    expect(pair.disks.beta.contents.subarray(0, block)).to.deep.equal(pattern(block, 5));
  });
});

describe('The only element that holds everything (element.off)', () => {
  it('is not taken out by an order that came while its record of that was under way (write.error)', async () => {
    const pair = await faultyPair();
    pair.gates['beta:metadata'].shut();
    const before = pair.gates['beta:metadata'].asked.length;
    const write = failingWrite(pair);
    await pair.until(() => pair.gates['beta:metadata'].asked.length > before, 'the record at the peer', 1_000);
    const order = outcome(pair.mirror('beta').setElement('off'));
    await pair.clock.runFor(20);
    pair.gates['beta:metadata'].open();
    expect(await pair.clock.settled(order, 5_000, 'the order')).to.match(/^HM_REFUSED/u);
    await pair.until(() => write.code !== null, 'the write', 5_000);
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
  });

  const off = (pair: FaultyPair, node: NodeName): Promise<string> =>
    pair.clock.settled(outcome(pair.mirror(node).setElement('off')), 10_000, 'the order');

  it('is not taken out while it is served through, the link being down: the other node comes back to it (write.error)', async () => {
    const pair = await disklessPair();
    await pair.breakLink();
    const write = asked((done) => pair.mirror('alpha').write(0, pattern(block, 3), {}, done));
    expect(await off(pair, 'beta')).to.equal('HM_REFUSED write.error');
    pair.link.heal();
    await pair.until(() => write.code !== null, 'the write', 5_000);
    expect([write.code, pair.mirror('beta').state().element]).to.deep.equal(['done', 'uptodate']);
  });

  it('is not taken out while it is served through after its node was started anew, on that connection and after it (write.error)', async () => {
    const pair = await disklessPair();
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await pair.open('beta');
    await pair.write('alpha', 0, pattern(block, 3));
    expect(await off(pair, 'beta')).to.equal('HM_REFUSED write.error');
    await pair.breakLink();
    expect(await off(pair, 'beta')).to.equal('HM_REFUSED write.error');
  });

  it('is not taken out after it was served through, even if its node was started since', async () => {
    const pair = await disklessPair();
    pair.kill('alpha');
    pair.kill('beta');
    await pair.open('beta');
    expect(await off(pair, 'beta')).to.equal('HM_REFUSED element.off');
    expect(pair.stored('beta').state).to.equal('consistent');
  });

  it('is not taken out after it was served alone, until the other one holds everything too', async () => {
    const pair = await faultyPair();
    await pair.breakLink();
    await pair.goAlone('alpha');
    await pair.write('alpha', 0, pattern(block, 4));
    await pair.clock.settled(pair.mirror('alpha').close(), 20_000, 'the end');
    pair.kill('alpha');
    await pair.open('alpha');
    expect(await off(pair, 'alpha')).to.equal('HM_REFUSED element.off');
    expect(pair.stored('alpha').state).to.equal('consistent');
    pair.link.heal();
    await pair.until(() => pair.mirror('beta').state().element === 'uptodate', 'the copy');
    expect(await off(pair, 'beta')).to.equal('done');
  });
});
