import { expect } from 'chai';

import { SeededRandom } from '../../src/testing/seeded-random.ts';
import type { Name, WriteFault } from './support/world.ts';
import { World } from './support/world.ts';

const seeds = 60;
const actions = 25;

/** One thing that happens to the pair. Wishes may be refused: that is an answer, too. */
type Deed = (world: World, random: SeededRandom) => void;

const nameOf = (random: SeededRandom): Name => (random.below(2) === 0 ? 'alpha' : 'beta');
const quietly = (promise: Promise<unknown>): void => void promise.catch(() => undefined);

const deeds: readonly Deed[] = [
  (world, random) => world.crash(nameOf(random)),
  (world) => world.partition(),
  (world) => world.cutData(),
  (world) => void (world.network.whole = false),
  (world) => world.heal(),
  (world) => world.heal(),
  (world) => world.mendData(),
  (world) => void (world.network.whole = true),
  (world, random) => {
    if (world.arbiter) world.arbiter.reachable = random.below(3) > 0;
  },
  (world, random) => world.network.loseAnswers.push(['handover', 'outdate', 'command'][random.below(3)] ?? ''),
  (world, random) => {
    const machine = world.machine(nameOf(random));
    const faults: readonly WriteFault[] = ['crash-before', 'crash-after', 'fail', 'fail-written'];
    const fault = faults[random.below(faults.length)] ?? 'fail';
    const at = machine.writes + 1 + random.below(4);
    machine.writeFault = (_record, number) => (number === at ? fault : null);
  },
  (world, random) => {
    for (const machine of world.machines) if (!machine.alive && random.below(4) > 0) world.start(machine.name);
  },
  (world, random) => {
    for (const machine of world.machines) if (!machine.alive && random.below(4) > 0) world.start(machine.name);
  },
  (world, random) => {
    const machine = world.machine(nameOf(random));
    if (!machine.alive) return;
    const { orchestrator } = machine;
    const wishes = [
      () => orchestrator.fallback(),
      () => orchestrator.recover(),
      () => orchestrator.switchover(),
      () => orchestrator.setControl(random.below(3) === 0 ? 'manual' : 'auto'),
    ];
    quietly(wishes[random.below(wishes.length)]?.() ?? Promise.resolve());
  },
  (world, random) => {
    const machine = world.machine(nameOf(random));
    if (machine.alive) machine.monitor.oversleep(random.below(2_000));
  },
];

async function live(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const world = new World({ arbiter: true, fence: random.below(2) === 0, mirrors: random.below(2) === 0 ? ['m0'] : ['m0', 'm1'] });
  await world.settle();
  for (let action = 0; action < actions; action += 1) {
    deeds[random.below(deeds.length)]?.(world, random);
    await world.run(random.below(3) === 0 ? random.below(3_000) : random.below(100));
  }
  expect(world.violations, `seed ${String(seed)}`).to.deep.equal([]);
  // Liveness: when everything works again, the pair finds together, and one node serves.
  world.heal();
  if (world.arbiter) world.arbiter.reachable = true;
  for (const machine of world.machines) machine.writeFault = () => null;
  const together = (): boolean => {
    for (const machine of world.machines) if (!machine.alive) world.start(machine.name);
    const epochs = world.machines.map((machine) => machine.orchestrator.status().epoch);
    return world.calm() && world.serving.length === 1 && epochs[0] === epochs[1];
  };
  await world.until(together, 120_000, `seed ${String(seed)}`);
  expect(world.violations, `seed ${String(seed)}`).to.deep.equal([]);
}

describe('a pair with an arbiter, whatever happens to it', () => {
  it(`never has two owners, never loses an acknowledged write, and finds together again (${String(seeds)} seeds)`, async () => {
    for (let seed = 1; seed <= seeds; seed += 1) await live(seed);
  }).timeout(300_000);
});
