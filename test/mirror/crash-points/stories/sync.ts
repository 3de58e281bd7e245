import { regionBytes } from '../../../../src/mirror/activity-log.ts';
import { block, bootBoth, extent, slow, small } from '../crash-story.ts';
import type { CrashStory } from '../crash-story.ts';
import type { CrashWorld } from '../crash-world.ts';

const stories: readonly CrashStory[] = [
  {
    name: 'init of both nodes, the first copy, the first service',
    options: { sizeBytes: 2 * extent + block, prepared: false },
    async tell(world: CrashWorld): Promise<void> {
      await world.initNode('alpha', 'data');
      await world.initNode('beta', 'blank');
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block)]);
      await world.stop('beta');
      await world.stop('alpha');
    },
  },
  {
    name: 'writes, overlapping writes, flush, FUA and zeroes',
    options: slow,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', block, block), world.write('alpha', 2 * extent, 2 * block)]);
      await world.all([world.write('alpha', 512, block), world.write('alpha', 1_024, block), world.write('alpha', 0, 512)]);
      const late = [world.write('alpha', extent, block), world.flush('alpha'), world.write('alpha', extent + 512, 1_024)];
      await world.all(late);
      await world.all([world.write('alpha', 3 * extent, block, { fua: true }), world.zeroes('alpha', 0, 2 * block)]);
      await world.all([world.zeroes('alpha', 2 * extent, block), world.write('alpha', 2 * extent + 512, 512), world.flush('alpha')]);
    },
  },
  {
    name: 'an activity log that turns over',
    options: { sizeBytes: 2 * regionBytes + 4 * extent, limits: { activeRegions: 2 } },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      for (const region of [0, 1, 2, 0, 2, 1]) await world.all([world.write('alpha', region * regionBytes + block, block)]);
      const across = [world.write('alpha', regionBytes - block, 2 * block), world.write('alpha', 2 * regionBytes + extent, block)];
      await world.all(across);
      await world.all([world.flush('alpha')]);
      world.kill('beta');
      await world.pass(2_000);
      await world.goAlone('alpha');
      for (const region of [0, 1, 2]) await world.all([world.write('alpha', region * regionBytes + 2 * block, block)]);
    },
  },
  {
    name: 'a lost target: alone under a generation of its own, then resync and adoption',
    options: slow,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block)]);
      const underWay = [world.write('alpha', 512, block), world.write('alpha', 2 * extent, block)];
      await world.pass(1);
      world.kill('beta');
      await world.pass(2_000);
      await world.goAlone('alpha');
      await world.all([...underWay, world.write('alpha', 3 * extent, block), world.flush('alpha')]);
      await world.boot('beta');
      const meanwhile = [world.write('alpha', 3 * extent + block, block)];
      await world.inSync();
      await world.all([...meanwhile, world.write('alpha', 0, 512), world.flush('alpha')]);
      world.kill('beta');
      await world.pass(2_000);
      await world.goAlone('alpha');
      await world.all([world.write('alpha', 2 * extent, block, { fua: true })]);
    },
  },
  {
    name: 'a lost source: a takeover, and the old source as target',
    options: small,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block), world.flush('alpha')]);
      void world.write('alpha', 2 * extent, block);
      world.kill('alpha');
      await world.pass(2_000);
      await world.takeOver('beta');
      await world.all([world.write('beta', 0, 512), world.write('beta', 3 * extent, block)]);
      await world.boot('alpha');
      await world.inSync();
      await world.all([world.write('beta', extent, block), world.flush('beta')]);
    },
  },
  {
    name: 'roles that change, there and back',
    options: slow,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block)]);
      await world.handOver('alpha');
      await world.all([world.write('beta', 512, block), world.write('beta', extent, block)]);
      await world.inSync();
      await world.handOver('beta');
      await world.all([world.write('alpha', 2 * extent, block), world.flush('alpha')]);
    },
  },
  {
    name: 'a data link that breaks under writes, and an outdated peer',
    options: slow,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      const underWay = [world.write('alpha', 0, block), world.write('alpha', extent, block)];
      await world.pass(2);
      world.link.break();
      await world.all(underWay);
      await world.inSync();
      world.link.cut();
      const parked = [world.write('alpha', 2 * extent, block)];
      await world.pass(2_000);
      await world.outdatePeer('alpha');
      await world.goAlone('alpha');
      await world.all([...parked, world.write('alpha', 512, 1_024)]);
      world.link.heal();
      await world.inSync();
      await world.all([world.write('alpha', 3 * extent, block, { fua: true })]);
    },
  },
  {
    name: 'both nodes stopped in order and started again, the other one first',
    options: small,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.zeroes('alpha', extent, block)]);
      await world.stop('beta');
      await world.pass(1_500);
      await world.goAlone('alpha');
      await world.all([world.write('alpha', 512, block)]);
      await world.stop('alpha');
      await world.boot('beta');
      await world.pass(500);
      await world.boot('alpha');
      await world.inSync();
      await world.promote('alpha');
      await world.all([world.write('alpha', 2 * extent, block), world.flush('alpha')]);
    },
  },
  {
    name: 'a source that crashed while it was alone, and its recovery',
    options: small,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block)]);
      world.kill('beta');
      await world.pass(1_500);
      await world.goAlone('alpha');
      await world.all([world.write('alpha', extent, block), world.write('alpha', 2 * extent, block)]);
      world.kill('alpha');
      await world.boot('alpha');
      await world.boot('beta');
      await world.inSync();
      await world.promote('alpha');
      await world.all([world.write('alpha', 0, 512), world.flush('alpha')]);
    },
  },
];

/** Protocol sync, and what every protocol has in common: all but those with large disks have more crashes. */
export const syncStories: readonly CrashStory[] = stories.map((story) =>
  story.options.sizeBytes > regionBytes ? story : { ...story, usualCrashes: 2 },
);
