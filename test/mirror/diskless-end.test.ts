import { expect } from 'chai';

import { asked, outcome } from './support/endings.ts';
import { FaultyPair } from './support/faulty-pair.ts';
import { pattern } from './support/mirror-pair.ts';
import type { NodeName } from './support/mirror-pair.ts';

const block = 4_096;
const epoch = { number: 1, owner: 'alpha' } as const;

/** Alpha serves through beta. */
async function disklessPair(): Promise<FaultyPair> {
  const pair = new FaultyPair();
  await pair.start();
  pair.worn['alpha:disk'].failWrites = 'HM_IO_WRITE';
  await pair.write('alpha', 0, pattern(block, 1));
  return pair;
}

const promoted = (pair: FaultyPair): Promise<string> =>
  pair.clock.settled(outcome(pair.mirror('alpha').promote({ epoch, alone: false })), 5_000, 'the promotion');

const failures = (pair: FaultyPair): readonly (readonly [NodeName, number])[] =>
  pair.told.filter(({ name }) => name === 'element:failed').map(({ node, event }) => [node, event.class]);

describe('A handover while the service goes on through the peer (write.error)', () => {
  it('that fails by the loss of the connection leaves it parked, and an order to serve on is granted (handover)', async () => {
    const pair = await disklessPair();
    const mirror = pair.mirror('alpha');
    pair.gates['beta:disk'].shut();
    const write = asked((done) => mirror.write(0, pattern(block, 2), {}, done));
    await pair.clock.runFor(20);
    const handover = mirror.demote();
    await pair.clock.runFor(5);
    pair.link.cut();
    expect(await pair.clock.settled(handover, 60_000, 'the handover')).to.deep.equal({ handedOver: false });
    pair.gates['beta:disk'].open();
    expect(await promoted(pair)).to.equal('done');
    expect([mirror.state().serving, write.code]).to.deep.equal(['parked', null]);
    pair.link.heal();
    await pair.until(() => write.code !== null, 'the write', 30_000);
    expect(write.code).to.equal('done');
    expect(mirror.state()).to.include({ serving: 'yes', element: 'failed' });
    expect(pair.disks.beta.contents.subarray(0, block)).to.deep.equal(pattern(block, 2));
  });

  it('that fails because the flush before it does: an order to serve on is granted, and the next handover succeeds (handover)', async () => {
    const pair = new FaultyPair();
    await pair.start();
    await pair.write('alpha', 0, pattern(block, 1));
    const mirror = pair.mirror('alpha');
    pair.worn['alpha:disk'].failFlushes = true;
    expect(await pair.clock.settled(outcome(mirror.demote()), 10_000, 'the handover')).to.equal('HM_IO_FLUSH no rule');
    expect(mirror.state()).to.include({ serving: 'yes', element: 'failed' });
    expect(await promoted(pair)).to.equal('done');
    await pair.write('alpha', 0, pattern(block, 2));
    expect(await pair.read('alpha', 0, block)).to.deep.equal(pattern(block, 2));
    expect(await pair.clock.settled(mirror.demote(), 10_000, 'the second handover')).to.deep.equal({ handedOver: true });
  });

  for (const resumed of [false, true])
    it(`where the peer's element fails too${resumed ? ' after a handover that was given up' : ''}: requests end with an error, and the service ends (class 3)`, async () => {
      const pair = await disklessPair();
      const mirror = pair.mirror('alpha');
      if (resumed) {
        expect(await pair.clock.settled(mirror.demote(), 5_000, 'the handover')).to.deep.equal({ handedOver: true });
        expect(await promoted(pair)).to.equal('done');
        await pair.write('alpha', 0, pattern(block, 2));
      }
      pair.worn['beta:disk'].failWrites = 'HM_IO_WRITE';
      const write = asked((done) => mirror.write(0, pattern(block, 3), {}, done));
      await pair.clock.runFor(120_000);
      expect([write.code, mirror.state().serving]).to.deep.equal(['HM_IO_WRITE', 'no']);
      expect(failures(pair)).to.deep.equal([
        ['alpha', 1],
        ['beta', 1],
        ['alpha', 3],
      ]);
    });
});

describe('An order to take the peer out while it is to hold everything alone (element.off)', () => {
  it('waits for the record of that, and is refused; the source, which asked for it, goes on through the peer (write.error)', async () => {
    const pair = new FaultyPair({ delayMs: 1 });
    await pair.start();
    await pair.write('alpha', 0, pattern(block, 1));
    const [alpha, beta] = [pair.mirror('alpha'), pair.mirror('beta')];
    pair.gates['beta:metadata'].shut();
    pair.worn['alpha:disk'].failWrites = 'HM_IO_WRITE';
    const write = asked((done) => alpha.write(0, pattern(block, 2), {}, done));
    await pair.clock.runFor(50);
    expect([write.code, beta.state().element]).to.deep.equal([null, 'uptodate']);
    const order = outcome(beta.setElement('off'));
    await pair.clock.runFor(5);
    pair.gates['beta:metadata'].open();
    expect(await pair.clock.settled(order, 1_000, 'the order')).to.equal('HM_REFUSED write.error');
    await pair.until(() => write.code !== null, 'the write', 100);
    expect([write.code, alpha.state().serving]).to.deep.equal(['done', 'yes']);
    expect([beta.state().element, pair.stored('beta').state]).to.deep.equal(['uptodate', 'consistent']);
    await pair.write('alpha', 0, pattern(block, 3));
    expect(await pair.read('alpha', 0, block)).to.deep.equal(pattern(block, 3));
  });
});
