import { expect } from 'chai';

import type { MirrorLink } from '../../src/mirror/mirror-link.ts';
import { outcome } from './support/endings.ts';
import { pattern } from './support/mirror-pair.ts';
import type { NodeName, MirrorPair } from './support/mirror-pair.ts';
import { wornPair } from './support/worn-pair.ts';
import type { Worn } from './support/worn-pair.ts';

const block = 4096;

async function failingDisk(worn: Worn): Promise<void> {
  worn.disks.alpha.failWrites = 'HM_IO_WRITE';
  await worn.pair.write('alpha', block, pattern(block, 2));
  worn.disks.alpha.log.length = 0;
}

describe('An order while the service goes on through the peer (write.error)', () => {
  const waive = async (mirror: MirrorLink): Promise<void> => {
    await Promise.resolve();
    mirror.waiveFindings('nothing was found');
  };
  const judged = (pair: MirrorPair): Record<NodeName, string> => ({
    alpha: pair.mirror('alpha').snapshot().metadata.current ?? '',
    beta: pair.mirror('beta').snapshot().metadata.current ?? '',
  });
  const paused = async (mirror: MirrorLink): Promise<void> => {
    await Promise.resolve();
    mirror.pauseResync('an operator');
    mirror.resumeResync();
  };
  const orders: readonly (readonly [string, NodeName, (mirror: MirrorLink, pair: MirrorPair) => Promise<unknown>, string])[] = [
    ['verify', 'alpha', (mirror) => mirror.verify(), 'HM_REFUSED write.error'],
    ['verify and repair', 'alpha', (mirror) => mirror.verify({ repair: true }), 'HM_REFUSED write.error'],
    ['regenerate', 'alpha', (mirror) => mirror.regenerate(), 'HM_REFUSED write.error'],
    ['regenerate everything', 'alpha', (mirror) => mirror.regenerate({ full: true }), 'HM_REFUSED write.error'],
    ['waive findings', 'alpha', waive, 'HM_REFUSED write.error'],
    ['grow', 'alpha', (mirror) => mirror.grow(), 'HM_REFUSED write.error'],
    ['complete by async', 'alpha', (mirror) => mirror.setProtocol('async'), 'HM_REFUSED write.error'],
    ['complete by memsync', 'alpha', (mirror) => mirror.setProtocol('memsync'), 'HM_REFUSED write.error'],
    ['pause and resume resyncs', 'alpha', paused, 'done'],
    ['take the failed element out', 'alpha', (mirror) => mirror.setElement('off'), 'HM_REFUSED write.error'],
    ['bring the failed element back', 'alpha', (mirror) => mirror.setElement('on'), 'HM_REFUSED write.error'],
    ['take the only good element out', 'beta', (mirror) => mirror.setElement('off'), 'HM_REFUSED write.error'],
    ['roll back', 'alpha', (mirror) => mirror.rollBack(), 'HM_REFUSED resync.undo'],
    ['roll back the peer', 'beta', (mirror) => mirror.rollBack(), 'done'],
    [
      'let the failed element survive',
      'alpha',
      (mirror, pair) => mirror.resolve({ judged: judged(pair), survivor: 'alpha' }),
      'HM_REFUSED lineage.source',
    ],
    [
      'let it give way',
      'alpha',
      (mirror, pair) => mirror.resolve({ judged: judged(pair), survivor: 'beta' }),
      'HM_REFUSED lineage.resolve',
    ],
    [
      'let the only good element give way',
      'beta',
      (mirror, pair) => mirror.resolve({ judged: judged(pair), survivor: 'alpha' }),
      'HM_REFUSED write.error',
    ],
  ];
  for (const [what, node, order, expected] of orders)
    it(`to ${what} ends with ${expected} at ${node}; the service goes on, and the failed element is left alone`, async () => {
      const worn = await wornPair();
      const { pair, disks } = worn;
      await pair.write('alpha', 0, pattern(block, 1));
      await failingDisk(worn);
      expect(await pair.clock.settled(outcome(order(pair.mirror(node), pair)), 60_000)).to.equal(expected);
      await pair.write('alpha', 2 * block, pattern(block, 3));
      expect(await pair.read('alpha', 0, 3 * block)).to.deep.equal(
        new Uint8Array([...pattern(block, 1), ...pattern(block, 2), ...pattern(block, 3)]),
      );
      expect(disks.alpha.log).to.deep.equal([]);
      expect(pair.mirror('alpha').state()).to.include({ serving: 'yes', element: 'failed', peerElement: 'uptodate' });
    });

  it('a verify under way ends before the peer is asked to hold everything, and the service goes on (verify)', async () => {
    const worn = await wornPair({ delayMs: 5 });
    const { pair, disks } = worn;
    await pair.write('alpha', 0, pattern(block, 1));
    const verify = outcome(pair.mirror('alpha').verify());
    await pair.clock.runFor(1);
    await failingDisk(worn);
    expect(await pair.clock.settled(verify, 60_000)).to.equal('HM_REFUSED write.error');
    await pair.clock.runFor(1_000);
    expect(disks.alpha.log).to.deep.equal([]);
    expect(pair.mirror('alpha').state()).to.include({ serving: 'yes', element: 'failed', findingBytes: 0 });
  });

  it('what a verify found stays a finding on both nodes: an element that is known to differ is not served through (takeover.verified)', async () => {
    for (const late of [false, true]) {
      const { pair, disks } = await wornPair({ delayMs: 5 });
      await pair.write('alpha', 0, pattern(block, 1));
      pair.disks.beta.contents.fill(0xab, 0, block);
      const verify = outcome(pair.mirror('alpha').verify());
      if (late) await pair.clock.runFor(1);
      else await pair.clock.settled(verify, 60_000);
      disks.alpha.failWrites = 'HM_IO_WRITE';
      let code: string | null = null;
      pair.mirror('alpha').write(block, pattern(block, 2), {}, (error) => (code = error?.code ?? 'done'));
      await pair.until(() => code !== null, 'the write', 5_000);
      await pair.clock.settled(verify, 60_000);
      expect([code, pair.mirror('alpha').state().serving]).to.deep.equal(['HM_IO_WRITE', 'no']);
      expect(pair.mirror('alpha').state().findingBytes, 'at the source').to.be.above(0);
      expect(pair.mirror('beta').state().findingBytes, 'at the target').to.be.above(0);
    }
  });

  it('to verify or to copy is refused also once the service was handed over and the connection is still there', async () => {
    const worn = await wornPair();
    const { pair, disks } = worn;
    await failingDisk(worn);
    await pair.clock.settled(pair.mirror('alpha').demote(), 5_000);
    const mirror = pair.mirror('alpha');
    expect(mirror.state()).to.include({ serving: 'no', role: 'source', element: 'failed' });
    for (const order of [() => mirror.verify({ repair: true }), () => mirror.regenerate({ full: true })])
      expect(await pair.clock.settled(outcome(order()), 60_000)).to.equal('HM_REFUSED write.error');
    expect(disks.alpha.log).to.deep.equal([]);
    expect(mirror.state().findingBytes).to.equal(0);
  });

  it('a resync under way ends, and with it the service: the peer does not hold everything (write.error)', async () => {
    const { pair, disks } = await wornPair({ delayMs: 20 });
    await pair.write('alpha', 0, pattern(block, 1));
    const copy = outcome(pair.mirror('alpha').regenerate({ full: true }));
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'inconsistent', 'the resync', 5_000);
    disks.alpha.failWrites = 'HM_IO_WRITE';
    let code: string | null = null;
    pair.mirror('alpha').write(block, pattern(block, 2), {}, (error) => (code = error?.code ?? 'done'));
    await pair.until(() => code !== null, 'the write', 5_000);
    expect([code, pair.mirror('alpha').state().serving]).to.deep.equal(['HM_IO_WRITE', 'no']);
    expect(await pair.clock.settled(copy, 60_000)).to.equal('HM_REFUSED write.error');
  });
});
