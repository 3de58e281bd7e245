import { expect } from 'chai';

import { asked } from './support/endings.ts';
import type { Ending } from './support/endings.ts';
import { FaultyPair } from './support/faulty-pair.ts';
import { pattern } from './support/mirror-pair.ts';

const block = 4_096;

/** The source served alone; its target is back and not copied to yet, and a write is on its way to it. */
async function resyncing(): Promise<{ readonly pair: FaultyPair; readonly write: Ending }> {
  const pair = new FaultyPair({ delayMs: 10 });
  await pair.start();
  const [alpha, beta] = [pair.mirror('alpha'), pair.mirror('beta')];
  await pair.write('alpha', 0, pattern(block, 1));
  await pair.breakLink();
  const [{ currentId }, { connectionId }] = [alpha.state(), beta.state()];
  const order = { epoch: { number: 1, owner: 'alpha' }, currentId, connectionId, nonce: 'n' } as const;
  await pair.clock.settled(beta.outdate(order), 1_000, 'the order to be outdated');
  await pair.goAlone('alpha');
  await pair.write('alpha', block, pattern(block, 2));
  alpha.pauseResync('the test');
  pair.link.heal();
  await pair.until(() => alpha.state().role === 'source', 'the source');
  await pair.clock.runFor(100);
  expect(alpha.state()).to.include({ serving: 'yes', connection: 'connected', peerElement: 'inconsistent' });
  const write = asked((done) => alpha.write(8 * block, pattern(block, 3), {}, done));
  await pair.clock.runFor(2);
  expect(write.code).to.equal(null);
  return { pair, write };
}

describe('Where serving ends while a write waits for a target that is behind (write.degraded)', () => {
  it('it does not complete by the loss of the connection, the element having failed: it ends with that error (write.error)', async () => {
    const { pair, write } = await resyncing();
    pair.worn['alpha:disk'].failFlushes = true;
    const flush = asked((done) => pair.mirror('alpha').flush(done));
    await pair.clock.runFor(1_000);
    expect([write.code, flush.code]).to.deep.equal(['HM_IO_FLUSH', 'HM_IO_FLUSH']);
    expect(pair.mirror('alpha').state()).to.include({ serving: 'no', element: 'failed' });
  });

  it('nor where a higher epoch is heard of: it ends with HM_STALE_EPOCH (lineage.epoch)', async () => {
    const { pair, write } = await resyncing();
    const heard = pair.mirror('alpha').raiseEpoch({ number: 9, owner: 'beta' });
    await pair.clock.settled(heard, 1_000, 'the epoch');
    expect(write.code).to.equal('HM_STALE_EPOCH');
    expect(pair.mirror('alpha').state()).to.include({ serving: 'no', element: 'consistent' });
  });
});
