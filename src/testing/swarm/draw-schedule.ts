import { SeededRandom } from '../seeded-random.ts';
import type { PairSimulationOptions } from '../simulation/options.ts';
import type { SimulationSchedule } from '../simulation/schedule.ts';
import { nodeNames, otherNode } from '../simulation/steps.ts';
import type { SimulationStep } from '../simulation/steps.ts';
import { streamOf } from '../simulation/streams.ts';
import { chance, oneOf, within } from './chance.ts';
import { drawConfiguration } from './configuration.ts';
import type { SwarmConfiguration } from './configuration.ts';
import { withProtocols } from './draw-protocols.ts';
import { faultKinds } from './fault-kinds.ts';
import type { FaultKind } from './fault-kinds.ts';

const fewestFaults = 7;
const mostFaults = 21;
const repairPercent = 40;
const longRunPercent = 1;
const longRunDeadlines = 10;
/** Of a hundred schedules, those in which elements are taken out, how often at most, and how many of those times they are brought back. */
const outPercent = 25;
const mostOut = 3;
const backPercent = 70;
/** Of a hundred schedules, those in which operators have elements copied or compared, and how often at most. */
const copiesPercent = 35;
const mostCopies = 5;
const copyOrders = ['regenerate', 'regenerate-full', 'verify', 'verify', 'verify-repair', 'pause-resync', 'slow-resync'] as const;
/** Of a hundred schedules, those in which disks fail while operators give orders, how often at most, and the orders. */
const failingPercent = 35;
const mostFailing = 3;
const ordersWhileFailing = [
  ...copyOrders,
  ...(['resume-resync', 'waive-findings', 'grow', 'set-sync', 'set-configured', 'element-off', 'element-on', 'roll-back'] as const),
  ...(['switchover', 'fallback', 'recover'] as const),
];
/** Of a hundred schedules, those in which operators switch the protocol, and how often at most. */
const switchedPercent = 25;
const mostSwitched = 3;
/** Of a hundred schedules, those with mirrors that can grow, by how much, and how often an operator orders it at most. */
const growingPercent = 25;
const growingBytes: readonly number[] = [4_096, 65_536, 458_752];
const mostGrowing = 4;
const diesGrowingPercent = 50;
const holesPercent = 50;
const undoJournalPercent = 30;
const mostRollBacks = 2;
/** Of the source: about as many as a short resync takes. */
const mostEffectsUntilDeath = 120;
/** Too small for most resyncs, for some, and for none. */
const undoJournalExtents: readonly number[] = [1, 8, 160, 160];
/** Scales of the time between two faults, in deadlines: a few frames, a few tokens, about a deadline, several. */
const runScales: readonly number[] = [0.02, 0.02, 0.2, 0.5, 1.3, 1.6, 3];

/**
 * Draws a whole schedule from one number, in the style of a swarm: the seed first draws the pair, then switches each kind of fault on or off, then draws
 * the steps from what is on, without a look at the world. The same seed gives the same schedule within one version of hotmirror.
 */
export function drawSchedule(seed: number): SimulationSchedule {
  const random = new SeededRandom(seed);
  const configuration = drawConfiguration(random);
  const kinds = drawKinds(random, configuration);
  const steps: SimulationStep[] = [{ do: 'run', forMs: runMs(random, configuration) }];
  for (let left = within(random, fewestFaults, mostFaults); left > 0;) {
    // Between two faults of a series there is a run each.
    const series = drawSteps(random, configuration, kinds).slice(0, 2 * left - 1);
    steps.push(...series, { do: 'run', forMs: runMs(random, configuration) });
    left -= Math.ceil(series.length / 2);
  }
  const options = withHoles(seed, withProtocols(seed, configuration.options));
  const mixed = withElementsTakenOut(seed, steps, configuration);
  const ordered = withDisksFailing(seed, withCopiesOrdered(seed, mixed, configuration), configuration);
  const switched = withProtocolsSwitched(seed, ordered, configuration);
  const grown = withGrowth({ version: 1, options, steps: switched }, configuration);
  return withUndoJournal(grown, configuration);
}

/** In some schedules operators have elements copied or compared, and hold resyncs back; from a stream of chance of their own, as above. */
function withCopiesOrdered(seed: number, steps: readonly SimulationStep[], configuration: SwarmConfiguration): readonly SimulationStep[] {
  const random = streamOf(seed, 'copies ordered');
  if (!chance(random, copiesPercent)) return steps;
  const mixed = [...steps];
  for (let left = within(random, 1, mostCopies); left > 0; left -= 1) {
    const node = oneOf(random, nodeNames);
    const order = oneOf(random, copyOrders);
    const at = insert(random, mixed, 0, { do: 'operator', node, order }, configuration);
    if (order === 'pause-resync' && chance(random, backPercent))
      insert(random, mixed, at + 1, { do: 'operator', node, order: 'resume-resync' }, configuration);
  }
  return mixed;
}

/** Some elements can punch holes; from a stream of chance of its own, as above. */
function withHoles(seed: number, options: PairSimulationOptions): PairSimulationOptions {
  return chance(streamOf(seed, 'holes'), holesPercent) ? { ...options, punchHole: true } : options;
}

/** In some schedules operators have mirrors complete by sync for a while, or for good; from a stream of chance of its own, as above. */
function withProtocolsSwitched(
  seed: number,
  steps: readonly SimulationStep[],
  configuration: SwarmConfiguration,
): readonly SimulationStep[] {
  const random = streamOf(seed, 'protocols switched');
  if (!chance(random, switchedPercent)) return steps;
  const mixed = [...steps];
  for (let left = within(random, 1, mostSwitched); left > 0; left -= 1) {
    const node = oneOf(random, nodeNames);
    const at = insert(random, mixed, 0, { do: 'operator', node, order: 'set-sync' }, configuration);
    if (chance(random, backPercent)) insert(random, mixed, at + 1, { do: 'operator', node, order: 'set-configured' }, configuration);
  }
  return mixed;
}

/** Some mirrors have larger devices, which an operator has them grow to; from a stream of chance of its own, as above. */
function withGrowth({ options, steps, ...rest }: SimulationSchedule, configuration: SwarmConfiguration): SimulationSchedule {
  const random = streamOf(options.seed ?? 0, 'growth');
  if (!chance(random, growingPercent) || !options.mirrors) return { ...rest, options, steps };
  const mirrors = options.mirrors.map((mirror) => ({ ...mirror, roomBytes: oneOf(random, growingBytes) }));
  const mixed = [...steps];
  for (let left = within(random, 1, mostGrowing); left > 0; left -= 1)
    // Behind a run, so that runs and other steps take turns.
    mixed.splice(1 + 2 * random.below(Math.ceil(mixed.length / 2)), 0, ...drawGrowth(random, configuration));
  return { ...rest, options: { ...options, mirrors }, steps: mixed };
}

/** An operator has mirrors grow; in half of the cases a node dies in the middle of it, and is started again soon. */
function drawGrowth(random: SeededRandom, configuration: SwarmConfiguration): readonly SimulationStep[] {
  const wait = (): SimulationStep => ({ do: 'run', forMs: runMs(random, configuration) });
  const order: SimulationStep = { do: 'operator', node: oneOf(random, nodeNames), order: 'grow' };
  if (!chance(random, diesGrowingPercent)) return [order, wait()];
  const node = oneOf(random, nodeNames);
  const death: SimulationStep = { do: 'crash', node, how: 'process', afterEffects: within(random, 1, mostEffectsUntilDeath) };
  return [order, { do: 'run', forMs: 1 }, death, wait(), { do: 'boot', node }, wait()];
}

/** In some schedules the element of the sick node fails in the middle of what operators order, and they go on giving orders; from a stream of chance of its own, as above. */
function withDisksFailing(seed: number, steps: readonly SimulationStep[], configuration: SwarmConfiguration): readonly SimulationStep[] {
  const random = streamOf(seed, 'disks failing under orders');
  if (!chance(random, failingPercent)) return steps;
  const mixed = [...steps];
  for (let left = within(random, 1, mostFailing); left > 0; left -= 1) {
    // Behind a run, so that runs and other steps take turns.
    mixed.splice(1 + 2 * random.below(Math.ceil(mixed.length / 2)), 0, ...drawFailing(random, configuration));
  }
  return mixed;
}

function drawFailing(random: SeededRandom, configuration: SwarmConfiguration): readonly SimulationStep[] {
  const { sickNode, options } = configuration;
  const mirror = oneOf(random, options.mirrors ?? []).name;
  const order = (): readonly SimulationStep[] => [
    { do: 'operator', node: oneOf(random, nodeNames), order: oneOf(random, ordersWhileFailing) },
    { do: 'run', forMs: runMs(random, configuration) },
  ];
  const kind = oneOf(random, ['write-error', 'flush-error'] as const);
  return [
    ...order(),
    { do: 'disk', node: sickNode, disk: 'element', mirror, fault: { kind, count: 1 } },
    { do: 'run', forMs: runMs(random, configuration) },
    ...order(),
    ...order(),
  ];
}

/**
 * In some schedules an operator takes elements out now and then, and brings them back. They have a stream of chance of their own, so that whatever else a seed draws is the
 * same with and without them.
 */
function withElementsTakenOut(
  seed: number,
  steps: readonly SimulationStep[],
  configuration: SwarmConfiguration,
): readonly SimulationStep[] {
  const random = streamOf(seed, 'elements taken out');
  if (!chance(random, outPercent)) return steps;
  const mixed = [...steps];
  for (let left = within(random, 1, mostOut); left > 0; left -= 1) {
    const node = oneOf(random, nodeNames);
    const out = insert(random, mixed, 0, { do: 'operator', node, order: 'element-off' }, configuration);
    // Some are brought back only once faults stop.
    if (chance(random, backPercent)) insert(random, mixed, out + 1, { do: 'operator', node, order: 'element-on' }, configuration);
  }
  return mixed;
}

/** Puts a step, and a run after it, behind one of the runs from `from` on, which is a run itself; gives the place of the step. */
function insert(random: SeededRandom, steps: SimulationStep[], from: number, step: SimulationStep, drawn: SwarmConfiguration): number {
  const runs = Math.ceil((steps.length - from) / 2);
  const at = from + 1 + 2 * random.below(runs);
  steps.splice(at, 0, step, { do: 'run', forMs: runMs(random, drawn) });
  return at;
}

/**
 * Gives some pairs undo journals, and rolls elements back whose source died in the middle of a resync. By a stream of chance of its own, so that all else is
 * as the seed draws it without them.
 */
function withUndoJournal({ options, steps, ...rest }: SimulationSchedule, configuration: SwarmConfiguration): SimulationSchedule {
  const random = streamOf(options.seed ?? 0, 'undo journal');
  if (!chance(random, undoJournalPercent)) return { ...rest, options, steps };
  const rolledBack = [...steps];
  for (let left = 1 + random.below(mostRollBacks); left > 0; left -= 1)
    // Behind a run, so that runs and other steps take turns.
    rolledBack.splice(1 + 2 * random.below(Math.ceil(rolledBack.length / 2)), 0, ...drawRollBack(random, configuration));
  return { ...rest, options: { ...options, undoJournalExtents: oneOf(random, undoJournalExtents) }, steps: rolledBack };
}

/** A node is away and comes back, the other dies soon after, an operator rolls back what it left, or is too early or too late for that. */
function drawRollBack(random: SeededRandom, configuration: SwarmConfiguration): readonly SimulationStep[] {
  const node = oneOf(random, nodeNames);
  const source = otherNode(node);
  const wait = (): SimulationStep => ({ do: 'run', forMs: runMs(random, configuration) });
  return [
    { do: 'crash', node, how: 'process' },
    { do: 'run', forMs: 2 * configuration.deadlineMs },
    { do: 'boot', node },
    { do: 'run', forMs: 1 },
    { do: 'crash', node: source, how: 'process', afterEffects: within(random, 1, mostEffectsUntilDeath) },
    wait(),
    { do: 'operator', node, order: 'roll-back' },
    wait(),
    { do: 'boot', node: source },
    wait(),
  ];
}

/** Which kinds of fault this schedule has; one at least. */
function drawKinds(random: SeededRandom, configuration: SwarmConfiguration): readonly FaultKind[] {
  const allowed = faultKinds.filter(({ mustSurvive }) => mustSurvive?.(configuration) ?? true);
  const on = allowed.filter(({ percent }) => chance(random, percent));
  return on.length === 0 ? [oneOf(random, allowed)] : on;
}

function drawSteps(random: SeededRandom, configuration: SwarmConfiguration, kinds: readonly FaultKind[]): readonly SimulationStep[] {
  const kind = weighted(random, kinds);
  const steps = kind.repair && chance(random, repairPercent) ? kind.repair(random, configuration) : kind.draw(random, configuration);
  return [steps].flat();
}

function weighted(random: SeededRandom, kinds: readonly FaultKind[]): FaultKind {
  let left = random.below(kinds.reduce((sum, { weight }) => sum + weight, 0));
  return kinds.find(({ weight }) => (left -= weight) < 0)!;
}

function runMs(random: SeededRandom, { deadlineMs }: SwarmConfiguration): number {
  if (chance(random, longRunPercent)) return longRunDeadlines * deadlineMs;
  return 1 + random.below(oneOf(random, runScales) * deadlineMs);
}
