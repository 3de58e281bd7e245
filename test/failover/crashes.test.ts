import { expect } from 'chai';

import type { Name, WriteFault } from './support/world.ts';
import { World } from './support/world.ts';

/** Beyond the last write of every scenario: the sweep ends where a fault no longer strikes. */
const maxWrites = 40;
const faults: readonly WriteFault[] = ['crash-before', 'crash-after', 'fail', 'fail-written'];

interface Scenario {
  readonly title: string;
  readonly arbiter: boolean;
  /** Starts what is to be disturbed, on a pair that serves on alpha. */
  readonly disturb: (world: World) => Promise<void>;
}

const quietly = (promise: Promise<unknown>): void => void promise.catch(() => undefined);

const scenarios: readonly Scenario[] = [
  ...[false, true].map((arbiter): Scenario => ({
    title: `a hand-over ${arbiter ? 'with' : 'without'} an arbiter`,
    arbiter,
    disturb: async (world) => {
      quietly(world.alpha.orchestrator.fallback());
      await world.run(1_500);
    },
  })),
  {
    title: 'there and back again',
    arbiter: false,
    disturb: async (world) => {
      quietly(world.alpha.orchestrator.fallback());
      await world.run(1_000);
      if (world.beta.alive) quietly(world.beta.orchestrator.recover());
      await world.run(1_500);
    },
  },
  {
    title: 'a takeover with an arbiter after the owner died',
    arbiter: true,
    disturb: async (world) => {
      world.crash('alpha');
      await world.run(4_000);
    },
  },
  {
    title: 'a full partition with an arbiter',
    arbiter: true,
    disturb: async (world) => {
      world.partition();
      await world.run(4_000);
    },
  },
  {
    title: 'a lost data link while a monitor link answers',
    arbiter: true,
    disturb: async (world) => {
      world.cutData();
      await world.run(2_000);
    },
  },
  {
    title: 'a hand-over that is cut off at the offer',
    arbiter: true,
    disturb: async (world) => {
      world.network.loseAnswers.push('handover');
      quietly(world.alpha.orchestrator.fallback());
      await world
        .until(() => !world.alpha.alive || world.alpha.orchestrator.snapshot().record.released !== null, 2_000, 'the release')
        .catch(() => undefined);
      world.partition();
      await world.run(3_000);
    },
  },
];

/** Runs one scenario with one fault at one write of one node. Whether the fault struck. */
async function strike(scenario: Scenario, name: Name, number: number, fault: WriteFault, restart: 'at once' | 'late'): Promise<boolean> {
  const world = new World({ arbiter: scenario.arbiter });
  await world.settle();
  await world.run(2_000);
  const machine = world.machine(name);
  const first = machine.writes;
  let struck = false;
  machine.writeFault = (_record, write) => {
    if (write !== first + number) return null;
    struck = true;
    return fault;
  };
  const where = `${scenario.title}: ${fault} at write ${String(number)} of ${name}, restarted ${restart}`;
  await scenario.disturb(world);
  if (restart === 'late') await world.run(3_000);
  world.heal();
  const settled = (): boolean => {
    // The fault may strike while the pair recovers, too.
    for (const each of world.machines) if (!each.alive) world.start(each.name);
    const [alpha, beta] = world.machines.map((each) => each.orchestrator.snapshot());
    return world.calm() && world.serving.length === 1 && alpha?.epoch === beta?.epoch && !alpha?.record.intent && !beta?.record.intent;
  };
  await world.until(settled, 40_000, where);
  expect(world.violations, where).to.deep.equal([]);
  if (world.arbiter) await expectArbiterFollows(world, where);
  return struck;
}

async function expectArbiterFollows(world: World, where: string): Promise<void> {
  const { arbiter } = world;
  if (!arbiter) return;
  await world.run(2_000);
  expect(await arbiter.current(new AbortController().signal), where).to.deep.equal(world.alpha.orchestrator.snapshot().record.epoch);
}

describe('crashes and failed writes at every record write', () => {
  for (const scenario of scenarios) {
    for (const name of ['alpha', 'beta'] as const) {
      it(`${scenario.title}: whatever happens to the writes of ${name}, never two owners, no acknowledged write lost, and one owner in the end`, async function () {
        this.timeout(120_000);
        for (const fault of faults) {
          for (let number = 1; number <= maxWrites; number += 1) {
            if (!(await strike(scenario, name, number, fault, number % 2 === 0 ? 'late' : 'at once'))) break;
          }
        }
      });
    }
  }
});
