import { expect } from 'chai';

import type { BlockDevice, Done } from '../../src/device/block-device.ts';
import { preImageLogBytes } from '../../src/mirror/pre-image-log.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';
import type { MirrorPairOptions } from './support/mirror-pair.ts';

const extent = 65_536;

/** A flush of one node's disk that hangs, once, though later ones don't. */
class HeldFlush {
  #wanted = false;
  #held: (() => void) | null = null;

  /** The next flush hangs. */
  hold(): void {
    this.#wanted = true;
  }

  get isHeld(): boolean {
    return this.#held !== null;
  }

  release(): void {
    this.#held?.();
  }

  around(device: BlockDevice): BlockDevice {
    return {
      ...device,
      flush: (done: Done) => {
        if (!this.#wanted) {
          device.flush(done);
          return;
        }
        this.#wanted = false;
        this.#held = () => device.flush(done);
      },
    };
  }
}

async function pairWithHeldFlush(
  disk: string,
  options: MirrorPairOptions = {},
): Promise<{ readonly pair: MirrorPair; readonly flush: HeldFlush }> {
  const flush = new HeldFlush();
  const limits = { resyncWindowBytes: extent, retryMaxMs: 200 };
  const wrap = (device: BlockDevice, what: string): BlockDevice => (what === disk ? flush.around(device) : device);
  const pair = await new MirrorPair({ limits, delayMs: 5, ...options, wrap }).start();
  return { pair, flush };
}

describe('a connection that ends during its handshake', () => {
  it('lineage.decide: changes nothing at its source any more, which may be the target of the next by then', async () => {
    const { pair, flush } = await pairWithHeldFlush('alpha:disk');
    const [alpha, beta] = [pair.mirror('alpha'), pair.mirror('beta')];
    flush.hold();
    pair.link.break();
    await pair.until(() => flush.isHeld, 'the handshake of the source');
    pair.link.cut();
    await pair.clock.settled(alpha.demote(), 60_000, 'the demotion');
    await pair.clock.settled(beta.promote({ epoch: { number: 2, owner: 'beta' }, alone: true }), 60_000, 'the promotion');
    for (let at = 0; at < 32; at += 1) await pair.write('beta', at * extent, pattern(extent, 7));
    pair.link.heal();
    await pair.until(() => alpha.state().role === 'target' && alpha.state().element === 'inconsistent', 'the copy of what beta wrote');
    flush.release();
    await pair.clock.runFor(20);
    expect(alpha.state().element).to.equal('inconsistent');
    pair.kill('alpha');
    await pair.open('alpha');
    expect(pair.mirror('alpha').state().element, 'durably').to.equal('inconsistent');
  });

  it('resync.begin: leaves its target as it was, which shakes hands again once its disk answers', async () => {
    const undoJournal = { sizeBytes: preImageLogBytes(64, extent), whenFull: 'give-up' } as const;
    const { pair, flush } = await pairWithHeldFlush('beta:disk', { undoJournal });
    pair.link.break();
    pair.link.cut();
    await pair.until(() => pair.mirror('alpha').state().lostAtMs !== null, 'the loss');
    await pair.goAlone('alpha');
    await pair.write('alpha', 0, pattern(extent, 7));
    flush.hold();
    pair.link.heal();
    await pair.until(() => flush.isHeld, 'the handshake of the target');
    pair.link.break();
    await pair.clock.runFor(500);
    expect(pair.mirror('beta').state().connection).to.not.equal('connected');
    flush.release();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'what alpha wrote alone is copied');
    expect(pair.identical).to.equal(true);
    expect(pair.mirror('alpha').state().resync).to.equal(null);
  });
});
