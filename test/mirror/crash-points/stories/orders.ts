import { regionBytes } from '../../../../src/mirror/activity-log.ts';
import { block, bootBoth, expectTold, extent, slow, small } from '../crash-story.ts';
import type { CrashStory } from '../crash-story.ts';
import type { CrashWorld } from '../crash-world.ts';

/** What an operator orders while the mirror is served. */
export const orderStories: readonly CrashStory[] = [
  {
    name: 'an element that is taken out and brought back (element.off)',
    options: slow,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      const underWay = world.write('alpha', 0, block);
      await world.setElement('beta', 'off');
      await world.until(() => world.mirror('alpha').state().peerBehind, 'a peer that is out');
      await world.goAlone('alpha');
      await world.all([underWay, world.write('alpha', extent, block), world.flush('alpha')]);
      world.kill('beta');
      await world.boot('beta');
      await world.setElement('beta', 'on');
      await world.inSync();
      await world.all([world.write('alpha', 2 * extent, block), world.flush('alpha')]);
      await world.handOver('alpha');
      await world.inSync();
      await world.setElement('alpha', 'off');
      await world.until(() => world.mirror('beta').state().peerBehind, 'a peer that is out');
      await world.goAlone('beta');
      await world.all([world.write('beta', 0, 512)]);
    },
  },
  {
    name: 'an element that is taken out during a resync (element.off)',
    options: slow,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      world.kill('beta');
      await world.pass(2_000);
      await world.goAlone('alpha');
      await world.all([0, 1, 2, 3].map((at) => world.write('alpha', at * extent, block)));
      await world.boot('beta');
      await world.until(() => world.mirror('beta').state().element === 'inconsistent', 'a resync that was begun');
      await world.setElement('beta', 'off');
      await world.pass(1_500);
      if (world.mirror('alpha').state().serving === 'parked') await world.goAlone('alpha');
      await world.all([world.write('alpha', extent, 512)]);
      await world.setElement('beta', 'on');
      await world.inSync();
      await world.all([world.write('alpha', 2 * extent, block)]);
    },
  },
  {
    name: 'a mirror that grows while it is served (lineage.grow)',
    // What is new lies in a region of its own: no activity log that happens to cover it stands in for its dirty bits.
    options: { ...slow, sizeBytes: regionBytes, deviceBytes: regionBytes + 2 * extent },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block)]);
      const underWay = world.write('alpha', 512, block);
      await world.grow('alpha');
      await world.all([underWay, world.write('alpha', regionBytes, block)]);
      await world.inSync();
      await world.all([world.write('alpha', regionBytes + extent, block), world.flush('alpha')]);
      expectTold(world, 'alpha mirror:grown');
      world.kill('alpha');
      await world.pass(2_000);
      await world.takeOver('beta');
      await world.all([world.write('beta', regionBytes + extent, 512)]);
      await world.boot('alpha');
      await world.inSync();
      await world.all([world.write('beta', 0, 512)]);
    },
  },
  {
    name: 'a verify that finds what a disk has lost, and repairs it (verify)',
    options: small,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', 2 * extent, block), world.flush('alpha')]);
      await world.stop('beta');
      await world.stop('alpha');
      world.forget('beta', 512);
      world.forget('beta', 2 * extent);
      await bootBoth(world);
      await world.verify('alpha', false);
      expectTold(world, 'alpha verify:finished');
      await world.all([world.write('alpha', extent, block)]);
      await world.verify('alpha', true);
      await world.all([world.write('alpha', 3 * extent, block), world.flush('alpha')]);
    },
  },
  {
    // The first verify sets the pace.
    name: 'a slow resync, and a slow verify that is given up first (verify, resync.progress)',
    options: { sizeBytes: 8 * extent, delayMs: 20, resync: { minBytesPerSecond: extent, maxBytesPerSecond: 2 * extent } },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.verify('alpha', false);
      await world.all([world.write('alpha', 0, block), world.write('alpha', 3 * extent, block), world.flush('alpha')]);
      world.kill('beta');
      world.forget('beta', 512);
      world.forget('beta', 3 * extent);
      await world.pass(2_000);
      await world.goAlone('alpha');
      await world.all([1, 2, 4, 5].map((at) => world.write('alpha', at * extent, block)));
      await world.boot('beta');
      await world.inSync();
      await world.pass(1_000);
      await world.verifyGivenUp('alpha', 10);
      expectTold(world, 'alpha verify:ended');
      await world.pass(1_000);
      await world.verify('alpha', false);
      await world.regenerate('alpha');
      await world.all([world.write('alpha', 512, block)]);
    },
  },
  {
    name: 'everything copied anew, by digests and whole, and a higher epoch (resync.progress)',
    options: { sizeBytes: 20 * extent },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      const writes = [world.write('alpha', 0, block), world.write('alpha', 18 * extent, block)];
      await world.all(writes);
      const copied = world.regenerate('alpha', true);
      const meanwhile = world.write('alpha', 5 * extent, block);
      await copied;
      await world.raiseEpoch('alpha');
      await world.all([meanwhile, world.write('alpha', 512, 512), world.flush('alpha')]);
    },
  },
];
