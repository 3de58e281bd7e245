import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import { names } from './machine.ts';
import type { Machine, Name } from './machine.ts';
import { PairWorld } from './pair-world.ts';
import type { LinkName, PairOptions } from './pair-world.ts';

/** A policy and the failures that it is put through. */
export interface Mode {
  readonly title: string;
  readonly options: Omit<PairOptions, 'seed'>;
  /** Whether every link may be cut at once. */
  readonly partitions: boolean;
}

/** Every policy with what it promises to survive. */
export const modes: readonly Mode[] = [
  {
    title: 'freeze: whatever fails',
    options: { arbiter: false, policy: { whenAlone: 'freeze' }, powerCuts: false },
    partitions: true,
  },
  { title: 'arbiter: whatever fails', options: { arbiter: true, policy: {}, powerCuts: false }, partitions: true },
  {
    title: 'freeze: whatever fails, power included',
    options: { arbiter: false, policy: { whenAlone: 'freeze' }, powerCuts: true },
    partitions: true,
  },
  {
    title: 'continue: whatever fails, but one link',
    options: { arbiter: false, policy: { whenAlone: 'continue' }, powerCuts: false },
    partitions: false,
  },
];

const linkNames: readonly LinkName[] = ['data', 'mon1', 'mon2'];
const traceTail = 40;

/** Runs one random schedule of failures; rejects with the seed and the end of the trace where the pair breaks a promise. */
export async function runRandomPair(mode: Mode, seed: number): Promise<void> {
  const world = new PairWorld({ ...mode.options, seed });
  const { random } = world;
  try {
    await world.start();
    for (let left = 6 + random.below(14); left > 0; left -= 1) {
      await mishap(world, mode);
      await world.advance(1 + random.below(oneOf(random, [20, 400, 2_500, 8_000])));
    }
    await world.settle();
  } catch (error) {
    const told = world.trace.slice(-traceTail).join('\n  ');
    throw new Error(`HOTMIRROR_PAIR_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}\n  ${told}`, { cause: error });
  } finally {
    world.end();
  }
}

/** One random mishap, repair or order of an operator. */
async function mishap(world: PairWorld, { options, partitions }: Mode): Promise<void> {
  const { random } = world;
  const node = oneOf(random, names);
  const dice = random.below(100);
  if (dice < 16) world.kill(node, options.powerCuts && random.below(2) === 0 ? 'power' : 'process');
  else if (dice < 30) await world.boot(node);
  else if (dice < 44) cut(world, partitions, node);
  else if (dice < 58) world.heal(...(random.below(2) === 0 ? linkNames : [oneOf(random, linkNames)]));
  else if (dice < 64) world.links[oneOf(random, linkNames)].break();
  else if (dice < 74) world.pause(node);
  else if (dice < 82) for (const each of names) world.resume(each);
  else if (dice < 86) world.close(node);
  else if (dice < 96) operate(world, world.running(node));
  else world.arbiter.reachable = random.below(2) === 0;
}

function cut(world: PairWorld, partitions: boolean, from: Name): void {
  const { random } = world;
  if (partitions && random.below(3) === 0) {
    for (const link of linkNames) world.cut(link);
    return;
  }
  const link = oneOf(random, linkNames);
  const oneWay = random.below(4) === 0;
  if (!partitions && new Set([...world.cutLinks, link]).size === linkNames.length) return;
  if (oneWay) world.cut(link, from);
  else world.cut(link);
}

/** An operator asks for something; a refusal is an answer like any other. */
function operate(world: PairWorld, machine: Machine | undefined): void {
  if (!machine?.ready || machine.closing || machine.clock.paused) return;
  const { random } = world;
  const { orchestrator, node } = machine;
  const control = random.below(3) === 0 ? 'manual' : 'auto';
  const orders = {
    switchover: () => orchestrator.switchover(),
    fallback: () => orchestrator.fallback(),
    recover: () => orchestrator.recover(),
    control: () => orchestrator.setControl(control),
  } as const;
  const order = oneOf(random, Object.keys(orders) as (keyof typeof orders)[]);
  world.note(`operator at ${node}: ${order} ${order === 'control' ? control : ''}`);
  orders[order]().then(
    () => world.note(`  ${node} did it`),
    (error: unknown) => world.note(`  ${node} refused: ${String(error)}`),
  );
}

function oneOf<T>(random: SeededRandom, choices: readonly T[]): T {
  return choices[random.below(choices.length)]!;
}
