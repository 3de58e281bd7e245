import { block, bootBoth, expectTold, extent, slow, small } from '../crash-story.ts';
import type { CrashStory } from '../crash-story.ts';
import type { CrashWorld } from '../crash-world.ts';

const windowBytes = 4 * block;

/** Disks and links that fail while the service goes on. */
export const failureStories: readonly CrashStory[] = [
  {
    name: 'pulling ahead of a full queue, and coming back (write.congested)',
    options: { sizeBytes: 4 * extent, diskMs: 2, delayMs: 3, protocol: 'async', whenCongested: 'pull-ahead', limits: { windowBytes } },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block)]);
      const burst = [0, 1, 2, 3].flatMap((at) => [
        world.write('alpha', at * extent, block),
        world.write('alpha', at * extent + 512, block),
      ]);
      await world.all(burst);
      await world.all([world.write('alpha', extent, 512), world.write('alpha', 2 * extent, block)]);
      expectTold(world, 'alpha ahead:begun', 'beta ahead:begun');
      await world.until(() => world.told.has('alpha ahead:ended'), 'the end of the queue');
      await world.all([world.write('alpha', 3 * extent, block), world.flush('alpha')]);
      await world.inSync();
      await world.all([world.write('alpha', 0, 512)]);
      world.kill('alpha');
      await world.pass(2_000);
      await world.takeOver('beta');
      await world.all([world.write('beta', 0, block)]);
    },
  },
  {
    name: 'a data link that breaks while the source is ahead (write.congested)',
    options: { sizeBytes: 4 * extent, diskMs: 2, delayMs: 6, protocol: 'async', whenCongested: 'pull-ahead', limits: { windowBytes } },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block)]);
      void [0, 1, 2, 3].map((at) => world.write('alpha', at * extent, 2 * block));
      await world.until(() => world.told.has('alpha ahead:begun'), 'a full queue');
      const ahead = world.write('alpha', 512, block);
      await world.pass(1);
      world.link.cut();
      await world.pass(2_000);
      await world.goAlone('alpha');
      await world.all([ahead, world.write('alpha', 3 * extent, block)]);
      world.link.heal();
      await world.inSync();
      await world.all([world.write('alpha', 2 * extent, block), world.flush('alpha')]);
    },
  },
  {
    name: "service through the peer once the serving node's element has failed (write.error)",
    options: slow,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block)]);
      const underWay = [world.write('alpha', 512, block), world.write('alpha', 2 * extent, block)];
      world.disk('alpha', 'element').failsWrites = true;
      await world.all([...underWay, world.write('alpha', extent, 512)]);
      await world.all([world.write('alpha', 3 * extent, block), world.zeroes('alpha', 0, 512)]);
      expectTold(world, 'alpha element:failed', 'beta lineage:minted');
      world.link.break();
      await world.all([world.write('alpha', 2 * extent, 1_024), world.flush('alpha')]);
      await world.handOver('alpha');
      await world.until(() => world.mirror('beta').state().peerBehind, 'a peer that is out');
      if (world.mirror('beta').state().serving === 'parked') await world.goAlone('beta');
      await world.all([world.write('beta', 0, block)]);
      world.kill('alpha');
      await world.replaceDisk('alpha');
      await world.boot('alpha');
      await world.inSync();
      await world.all([world.write('beta', extent, block), world.flush('beta')]);
    },
  },
  {
    name: 'an element that fails by async, with what was not sent yet (write.error)',
    options: { sizeBytes: 4 * extent, diskMs: 2, delayMs: 3, protocol: 'async', limits: { windowBytes } },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block), world.write('alpha', 2 * extent, block)]);
      world.disk('alpha', 'element').failsWrites = true;
      await world.all([world.write('alpha', 512, block), world.write('alpha', 3 * extent, block)]);
      await world.all([world.write('alpha', extent, 512), world.flush('alpha')]);
      expectTold(world, 'alpha element:failed', 'beta lineage:minted');
      world.kill('alpha');
      await world.pass(2_000);
      await world.takeOver('beta', { force: true });
      await world.all([world.write('beta', 0, 512)]);
    },
  },
  {
    name: "a target's element that fails, and its new disk (write.error)",
    options: small,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block)]);
      world.disk('beta', 'element').failsWrites = true;
      const underWay = world.write('alpha', extent, block);
      await world.until(() => world.mirror('alpha').state().serving === 'parked', 'a target that is out');
      await world.until(() => world.mirror('alpha').state().peerBehind, 'a peer that is out');
      await world.goAlone('alpha');
      await world.all([underWay, world.write('alpha', 2 * extent, block)]);
      expectTold(world, 'beta element:failed');
      world.kill('beta');
      await world.replaceDisk('beta');
      await world.boot('beta');
      await world.inSync();
      await world.all([world.write('alpha', 3 * extent, block), world.flush('alpha')]);
    },
  },
  {
    name: 'a disk that fails when its node starts (write.error)',
    options: small,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block), world.flush('alpha')]);
      world.kill('beta');
      world.disk('beta', 'element').failsFlushes = true;
      await world.pass(2_000);
      await world.goAlone('alpha');
      await world.all([world.write('alpha', 2 * extent, block)]);
      await world.bootInVain('beta');
      await world.replaceDisk('beta');
      await world.boot('beta');
      await world.inSync();
      await world.all([world.write('alpha', 0, 512)]);
    },
  },
  {
    name: 'sectors that cannot be read, and are written anew (write.error)',
    options: slow,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block), world.flush('alpha')]);
      const { bad } = world.disk('alpha', 'element');
      bad
        .add(512)
        .add(extent + 1_024)
        .add(2 * extent);
      await world.all([world.read('alpha', 0, block)]);
      const late = [world.write('alpha', 2 * extent, block)];
      await world.all([world.read('alpha', extent, block), ...late, world.write('alpha', 512, block)]);
      if (bad.size > 0) throw new Error('a sector was not written anew');
      await world.handOver('alpha');
      await world.all([world.write('beta', 0, 512)]);
    },
  },
];
