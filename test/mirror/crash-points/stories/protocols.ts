import { block, bootBoth, expectTold, extent } from '../crash-story.ts';
import type { CrashStory } from '../crash-story.ts';
import type { CrashWorld } from '../crash-world.ts';
import type { CrashWorldOptions } from '../crash-nodes.ts';

const sizeBytes = 4 * extent;
const windowBytes = 4 * block;
const async: CrashWorldOptions = { sizeBytes, diskMs: 2, delayMs: 3, protocol: 'async', limits: { windowBytes } };

/** Protocols memsync and async, and the change from one to another (rule write.both). */
export const protocolStories: readonly CrashStory[] = [
  {
    name: 'protocol async: writes acknowledged before they are sent, a flush, FUA, a takeover',
    options: async,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', block, block), world.write('alpha', 2 * extent, block)]);
      await world.all([world.write('alpha', 512, block), world.zeroes('alpha', extent, block)]);
      await world.all([world.flush('alpha')]);
      await world.all([world.write('alpha', 0, 512), world.write('alpha', extent, 1_024)]);
      await world.all([world.write('alpha', 3 * extent, block, { fua: true })]);
      await world.all([world.write('alpha', 2 * extent, block), world.write('alpha', 3 * extent, 2 * block)]);
      await world.all([world.write('alpha', 512, 512)]);
      world.kill('alpha');
      await world.pass(2_000);
      await world.takeOver('beta');
      await world.all([world.write('beta', 0, block), world.write('beta', extent, block)]);
      await world.boot('alpha');
      await world.inSync();
      await world.all([world.write('beta', 512, 512), world.write('beta', 2 * extent, block), world.flush('beta')]);
    },
  },
  {
    name: 'protocol async: a data link that breaks, a source that crashes and comes back, a handover',
    options: async,
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, 3 * block)]);
      const underWay = [world.write('alpha', 2 * extent, block), world.write('alpha', 0, 512)];
      await world.pass(2);
      world.link.break();
      await world.all(underWay);
      await world.inSync();
      await world.all([world.write('alpha', 3 * extent, block), world.write('alpha', 512, block)]);
      world.kill('alpha');
      await world.pass(1_500);
      await world.boot('alpha');
      await world.inSync();
      await world.promote('alpha');
      await world.all([world.write('alpha', extent, block), world.write('alpha', 3 * extent, 512)]);
      await world.handOver('alpha');
      await world.all([world.write('beta', 0, block), world.write('beta', 2 * extent, block), world.flush('beta')]);
    },
  },
  {
    name: 'protocol memsync: writes acknowledged when they are received, a flush, a takeover',
    options: { sizeBytes, diskMs: 4, protocol: 'memsync' },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', block, block), world.write('alpha', 2 * extent, block)]);
      await world.all([world.write('alpha', 512, block), world.zeroes('alpha', extent, block)]);
      await world.all([world.flush('alpha'), world.write('alpha', extent, 1_024)]);
      await world.all([world.write('alpha', 3 * extent, block, { fua: true }), world.write('alpha', 0, 512)]);
      await world.all([world.write('alpha', 2 * extent, block), world.write('alpha', 3 * extent, block)]);
      world.kill('alpha');
      await world.pass(2_000);
      await world.takeOver('beta');
      await world.all([world.write('beta', 0, block)]);
      await world.boot('alpha');
      await world.inSync();
      await world.all([world.write('beta', 512, 512), world.flush('beta')]);
    },
  },
  {
    name: 'a protocol that changes under writes: sync, async, memsync, sync',
    options: { sizeBytes, diskMs: 2, delayMs: 3, limits: { windowBytes } },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      const first = [world.write('alpha', 0, block), world.write('alpha', extent, block)];
      await world.setProtocol('alpha', 'async');
      await world.all(first);
      await world.all([world.write('alpha', 512, block)]);
      const second = [world.write('alpha', 2 * extent, block), world.write('alpha', 0, 512)];
      await world.pass(2);
      await world.setProtocol('alpha', 'memsync');
      await world.all([...second, world.write('alpha', 3 * extent, block)]);
      await world.setProtocol('alpha', 'sync');
      await world.all([world.write('alpha', extent, block)]);
      await world.setProtocol('alpha', 'async');
      const third = [world.write('alpha', 512, 512), world.write('alpha', 3 * extent, block)];
      await world.pass(2);
      await world.setProtocol('alpha', 'sync');
      await world.all([...third, world.write('alpha', 2 * extent, 1_024)]);
      expectTold(world, 'alpha protocol:changed');
      world.kill('alpha');
      await world.pass(2_000);
      await world.takeOver('beta');
      await world.all([world.write('beta', 0, block)]);
    },
  },
];
