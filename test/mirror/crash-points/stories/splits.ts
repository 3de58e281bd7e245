import { block, bootBoth, expectTold, extent, slow, small } from '../crash-story.ts';
import type { CrashStory } from '../crash-story.ts';
import type { CrashWorld } from '../crash-world.ts';

/** Every link is cut, and both nodes are served alone: beta by the word of an operator. */
async function splitUp(world: CrashWorld): Promise<void> {
  world.link.cut();
  await world.until(() => world.mirror('alpha').state().serving === 'parked', 'the loss');
  await world.pass(2_000);
  world.fork();
  await world.takeOver('beta');
  await world.goAlone('alpha');
}

async function splitFound(world: CrashWorld): Promise<void> {
  world.link.heal();
  await world.until(() => world.mirror('alpha').state().split !== null && world.mirror('beta').state().split !== null, 'split brain');
}

/** Undo journals, and what leads out of a split brain. */
export const splitStories: readonly CrashStory[] = [
  {
    name: 'a resync with an undo journal that loses its source: the target is rolled back, and filled later (resync.undo)',
    options: { ...slow, undoExtents: 4 },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block)]);
      world.kill('beta');
      await world.pass(2_000);
      await world.goAlone('alpha');
      await world.all([world.write('alpha', 0, block), world.write('alpha', 2 * extent, block), world.flush('alpha')]);
      await world.boot('beta');
      await world.until(() => world.mirror('beta').state().canRollBack, 'a resync that was begun');
      const meanwhile = world.write('alpha', 3 * extent, block);
      await world.pass(6);
      world.kill('alpha');
      void meanwhile;
      await world.pass(1_500);
      await world.rollBack('beta');
      expectTold(world, 'beta element:rolled-back');
      await world.boot('alpha');
      await world.inSync();
      await world.promote('alpha');
      await world.all([world.write('alpha', extent, block), world.flush('alpha')]);
    },
  },
  {
    name: 'an undo journal in the place of a damaged one, which the application fills, and which is given up (resync.undo)',
    options: { ...slow, undoExtents: 2 },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.flush('alpha')]);
      world.kill('beta');
      await world.pass(2_000);
      await world.goAlone('alpha');
      await world.all([world.write('alpha', 0, 512), world.write('alpha', extent, block)]);
      world.disk('beta', 'undo').contents.fill(0xff);
      await world.boot('beta');
      await world.until(() => world.mirror('beta').state().canRollBack, 'a resync that was begun');
      await world.all([world.write('alpha', 2 * extent, block), world.write('alpha', 3 * extent, block)]);
      await world.inSync();
      expectTold(world, 'beta undo:given-up');
      await world.all([world.write('alpha', 512, block), world.flush('alpha')]);
    },
  },
  {
    name: 'an element that was rolled back, is served by force, and survives (resync.undo, lineage.resolve)',
    options: { ...slow, undoExtents: 4 },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.write('alpha', extent, block)]);
      world.link.cut();
      await world.until(() => world.mirror('alpha').state().serving === 'parked', 'the loss');
      const parked = world.write('alpha', 2 * extent, block);
      world.link.heal();
      await world.until(() => world.mirror('beta').state().canRollBack, 'a resync that was begun');
      await world.all([parked]);
      world.kill('alpha');
      await world.pass(1_500);
      world.forkRolledBack('beta');
      await world.rollBack('beta');
      await world.takeOver('beta', { force: true });
      await world.all([world.write('beta', 0, 512), world.write('beta', 3 * extent, block)]);
      await world.boot('alpha');
      await world.until(() => world.mirror('alpha').state().split !== null && world.mirror('beta').state().split !== null, 'split brain');
      await world.resolve('beta');
      await world.inSync();
      await world.all([world.write('beta', extent, block), world.flush('beta')]);
    },
  },
  {
    name: 'split brain, an operator who names the survivor, and a salvage file of the other (lineage.split, lineage.resolve)',
    options: { ...slow, salvage: true },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.flush('alpha')]);
      await splitUp(world);
      await world.all([world.write('beta', 0, block), world.write('beta', 3 * extent, block)]);
      await world.all([world.write('alpha', 512, block), world.write('alpha', extent, block)]);
      await splitFound(world);
      await world.resolve('alpha', { salvage: true });
      const meanwhile = world.write('alpha', 2 * extent, block);
      await world.inSync();
      await world.all([meanwhile, world.write('alpha', 3 * extent, 512), world.flush('alpha')]);
      await world.handOver('alpha');
      await world.all([world.write('beta', extent, block)]);
    },
  },
  {
    name: 'split brain, and a word that is taken back (lineage.resolve)',
    options: { ...small, salvage: true },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block)]);
      await splitUp(world);
      await world.all([world.write('beta', 0, block), world.write('alpha', extent, block)]);
      // Both stop serving before anybody is asked.
      world.kill('alpha');
      world.kill('beta');
      world.link.heal();
      await world.boot('alpha');
      await world.boot('beta');
      await world.until(() => world.mirror('alpha').state().split !== null && world.mirror('beta').state().split !== null, 'split brain');
      world.link.cut();
      await world.pass(1_500);
      await world.resolve('beta', { salvage: true });
      await world.resolve('alpha', { salvage: true });
      world.link.heal();
      await world.inSync();
      await world.promote('alpha');
      await world.all([world.write('alpha', 2 * extent, block), world.flush('alpha')]);
    },
  },
  {
    name: 'a side that was alone and wrote nothing gives way by itself (lineage.unchanged)',
    options: { ...slow, whenSplit: 'discard-unchanged' },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.flush('alpha')]);
      await splitUp(world);
      await world.all([world.read('alpha', 0, block)]);
      await world.all([world.write('beta', 512, block), world.write('beta', extent, block)]);
      world.kill('alpha');
      world.link.heal();
      await world.boot('alpha');
      await world.until(() => world.isInSync(), 'a side that gives way');
      await world.all([world.write('beta', 2 * extent, block), world.flush('beta')]);
    },
  },
  {
    name: 'a side that was alone, read, and then wrote (lineage.unchanged)',
    options: { ...small, whenSplit: 'discard-unchanged' },
    async tell(world: CrashWorld): Promise<void> {
      await bootBoth(world);
      await world.all([world.write('alpha', 0, block), world.flush('alpha')]);
      world.kill('beta');
      await world.pass(2_000);
      await world.goAlone('alpha');
      await world.all([world.read('alpha', 0, block)]);
      await world.all([world.write('alpha', extent, block)]);
      await world.boot('beta');
      await world.inSync();
      await world.all([world.write('alpha', 2 * extent, block)]);
    },
  },
];
