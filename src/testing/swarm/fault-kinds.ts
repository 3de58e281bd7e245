import type { LinkConditions } from '../../transport/link-conditions.ts';
import { pairRecordBytes } from '../../failover/pair-record-store.ts';
import { elementMetadataBytes } from '../../mirror/create-element.ts';
import { platformSteps } from '../../platform/platform-actions.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { DiskFault, DiskName } from '../simulation/disk-faults.ts';
import { maxDriftPpm } from '../simulation/options.ts';
import { nodeNames } from '../simulation/steps.ts';
import type { NodeName, OperatorOrder, SimulationStep } from '../simulation/steps.ts';
import { chance, oneOf, within } from './chance.ts';
import type { SwarmConfiguration } from './configuration.ts';

/** One kind of fault, as the swarm switches it on or off for a whole schedule. */
export interface FaultKind {
  readonly name: string;
  /** Of a hundred schedules that may hold it, those that do. */
  readonly percent: number;
  /** How often it comes, against the other kinds of the schedule. */
  readonly weight: number;
  /** Whether a pair of this configuration must survive it; absent: every one must. */
  readonly mustSurvive?: (configuration: SwarmConfiguration) => boolean;
  /** One step, or a series with a run between every two. */
  readonly draw: (random: SeededRandom, configuration: SwarmConfiguration) => SimulationStep | readonly SimulationStep[];
  /** What ends it, perhaps much later. Absent: it ends by itself. */
  readonly repair?: (random: SeededRandom, configuration: SwarmConfiguration) => SimulationStep;
}

const hourMs = 3_600_000;
const sectorBytes = 512;
/** Sectors that cannot be read, at most, in one fault. */
const longestUnreadable = 256;
const fewestPauses = 2;
const mostPauses = 4;
/** Lengths of pauses in turn, in deadlines, and how far around one they are drawn. */
const pauseScales: readonly number[] = [0.5, 1, 1, 2];
const pauseSpread = 0.7;
const half = 0.5;
const momentMs = 20;
/** Orders that keep to the rules. */
const orders: readonly OperatorOrder[] = ['fallback', 'recover', 'switchover', 'switchover', 'adopt', 'manual', 'auto'];
const serviceSteps = platformSteps.filter((step) => step !== 'fence');
const outcomes = ['fail', 'fail-in-effect', 'succeed-without-effect', 'hang'] as const;
/** A fence that succeeds without effect is an operator's lie. */
const fenceOutcomes = ['fail', 'fail-in-effect', 'hang'] as const;

/**
 * Every fault that the swarm draws, and what it is drawn for: this is the one table of what a pair must survive.
 *
 * Named limits, which the draw keeps to:
 * - Machines lose power only where the application was told so (`powerCuts`), because it must then rely on FUA and flush.
 * - With `whenAlone: 'continue'`, no arbiter and no fence, one link carries at all times: without any, two owners are what that policy asks for.
 * - No fence succeeds without effect: that is an operator's lie, and what it proves is all that keeps two nodes from serving under `continue`.
 * - Disks fail on one node of a schedule, and never where they hold the only good copy of anything: two failed disks are one more than a pair has.
 * - Neither `bootAlone: 'serve'` nor the orders `force-fallback` and `resume`: each puts an operator's word, that the peer serves no more and holds nothing
 *   newer, above the rules that keep writes.
 */
export const faultKinds: readonly FaultKind[] = [
  { name: 'crash', percent: 60, weight: 8, draw: (random) => ({ do: 'crash', node: node(random), how: 'process' }), repair: boot },
  {
    name: 'power cut',
    percent: 70,
    weight: 8,
    mustSurvive: ({ options }) => options.powerCuts === true,
    draw: (random) => ({ do: 'crash', node: node(random), how: 'power' }),
    repair: boot,
  },
  { name: 'crash at an effect', percent: 50, weight: 8, draw: crashAtEffect, repair: boot },
  { name: 'stop', percent: 30, weight: 4, draw: (random) => ({ do: 'stop', node: node(random) }), repair: boot },
  {
    name: 'pause',
    percent: 50,
    weight: 6,
    draw: (random, { deadlineMs }) => ({
      do: 'pause',
      node: node(random),
      ...(chance(random, 70) ? { forMs: 1 + random.below(deadlineMs * 3) } : {}),
      ...(chance(random, 25) ? { suspend: true } : {}),
    }),
    repair: (random) => ({ do: 'resume', node: node(random) }),
  },
  { name: 'pauses in turn', percent: 12, weight: 6, draw: pausesInTurn },
  { name: 'cut', percent: 60, weight: 8, draw: (random, drawn) => ({ do: 'cut', link: failingLink(random, drawn) }), repair: heal },
  {
    name: 'one-way cut',
    percent: 40,
    weight: 6,
    draw: (random, drawn) => ({ do: 'cut', link: failingLink(random, drawn), from: node(random) }),
    repair: heal,
  },
  {
    name: 'partition',
    percent: 50,
    weight: 6,
    mustSurvive: ({ steadyLink }) => steadyLink === null,
    draw: (random) => ({ do: 'cut', link: 'all', ...(chance(random, 20) ? { from: node(random) } : {}) }),
    repair: () => ({ do: 'heal', link: 'all' }),
  },
  {
    name: 'break',
    percent: 40,
    weight: 6,
    draw: (random, { links }) => ({ do: 'break', link: chance(random, 20) ? 'all' : oneOf(random, links) }),
  },
  { name: 'link conditions', percent: 40, weight: 6, draw: drawConditions, repair: usualConditions },
  {
    name: 'clock',
    percent: 30,
    weight: 4,
    draw: (random) => ({
      do: 'clock',
      node: node(random),
      ...(chance(random, 50) ? { jumpWallMs: within(random, -hourMs, hourMs) } : { driftPpm: within(random, -maxDriftPpm, maxDriftPpm) }),
    }),
  },
  {
    name: 'arbiter',
    percent: 50,
    weight: 5,
    mustSurvive: ({ options }) => options.arbiter === true,
    draw: (random) => ({
      do: 'arbiter',
      ...(chance(random, 50) ? { reachable: false } : { reachable: true, lossPercent: oneOf(random, [10, 30, 60]) }),
      ...(chance(random, 50) ? { node: node(random) } : {}),
    }),
    repair: (random) => ({ do: 'arbiter', reachable: true, ...(chance(random, 50) ? { node: node(random) } : {}) }),
  },
  { name: 'operator', percent: 50, weight: 6, draw: (random) => ({ do: 'operator', node: node(random), order: oneOf(random, orders) }) },
  {
    name: 'platform',
    percent: 25,
    weight: 5,
    draw: (random) => ({ do: 'platform', node: node(random), step: oneOf(random, serviceSteps), outcome: oneOf(random, outcomes) }),
  },
  {
    name: 'fence',
    percent: 50,
    weight: 5,
    mustSurvive: ({ options }) => options.fence === true,
    draw: (random) => ({ do: 'platform', node: node(random), step: 'fence', outcome: oneOf(random, fenceOutcomes) }),
  },
  diskKind('stall', (random) => ({ kind: 'stall', forMs: 1 + random.below(oneOf(random, [100, 2_000, 10_000])) })),
  diskKind('slow', (random) => ({ kind: 'slow', addMs: 1 + random.below(oneOf(random, [20, 300])) })),
  diskKind('full', () => ({ kind: 'full' })),
  diskKind('write-error', (random) => ({ kind: 'write-error', count: within(random, 1, 3) })),
  diskKind('flush-error', (random) => ({ kind: 'flush-error', count: within(random, 1, 3) })),
  { ...diskKind('unreadable', unreadable), percent: 25 },
  { name: 'disks replaced', percent: 30, weight: 10, draw: (random) => ({ do: 'replace', node: node(random) }) },
];

function node(random: SeededRandom): NodeName {
  return oneOf(random, nodeNames);
}

function boot(random: SeededRandom): SimulationStep {
  return { do: 'boot', node: node(random) };
}

/**
 * Pauses of either node, each about as long as a rule waits for something, and begun a moment or a while after the one before, or about when that ends: so that
 * what one node knows of the other is as old as it can be when it decides.
 */
function pausesInTurn(random: SeededRandom, { deadlineMs }: SwarmConfiguration): readonly SimulationStep[] {
  const steps: SimulationStep[] = [];
  for (let left = within(random, fewestPauses, mostPauses); left > 0; left -= 1) {
    const forMs = Math.ceil(oneOf(random, pauseScales) * deadlineMs * (1 + (random.fraction() - half) * pauseSpread));
    const aroundItsEndMs = Math.ceil(Math.max(0, forMs + (random.fraction() - half) * deadlineMs));
    const untilNextMs = oneOf(random, [1 + random.below(momentMs), 1 + random.below(deadlineMs), aroundItsEndMs, aroundItsEndMs]);
    steps.push({ do: 'pause', node: node(random), forMs });
    if (left > 1) steps.push({ do: 'run', forMs: untilNextMs });
  }
  return steps;
}

/** Any link, or every data link at once, but never the steady one. */
function failingLink(random: SeededRandom, { links, steadyLink }: SwarmConfiguration): string {
  const failing = links.filter((link) => link !== steadyLink);
  const choices = steadyLink?.startsWith('data:') ? failing : [...failing, 'data'];
  return oneOf(random, choices);
}

function heal(random: SeededRandom, { links }: SwarmConfiguration): SimulationStep {
  return { do: 'heal', link: chance(random, 40) ? 'all' : oneOf(random, links) };
}

function crashAtEffect(random: SeededRandom, { options }: SwarmConfiguration): SimulationStep {
  const how = options.powerCuts === true && chance(random, 50) ? 'power' : 'process';
  return { do: 'crash', node: node(random), how, afterEffects: 1 + random.below(oneOf(random, [4, 30, 300])) };
}

function drawConditions(random: SeededRandom, drawn: SwarmConfiguration): SimulationStep {
  const link = drawn.steadyLink === null && chance(random, 30) ? 'all' : failingLink(random, drawn);
  const conditions: LinkConditions = oneOf<() => LinkConditions>(random, [
    () => ({ delayMs: random.below(oneOf(random, [50, 500, 3_000])), jitterMs: random.below(oneOf(random, [20, 500])) }),
    () => ({ delayMs: 1, lostPerMillion: oneOf(random, [10_000, 100_000, 300_000]) }),
    () => ({ delayMs: 1, corruptPerMillion: oneOf(random, [1_000, 20_000]) }),
    () => ({ delayMs: 1, duplicatePerMillion: oneOf(random, [200_000, 1_000_000]) }),
    () => ({ delayMs: 1, clogPerMillion: oneOf(random, [1_000, 20_000]), clogMs: random.below(oneOf(random, [300, 3_000])) }),
  ])();
  return { do: 'conditions', link, conditions, ...(chance(random, 30) ? { from: node(random) } : {}) };
}

function usualConditions(random: SeededRandom, { links, options }: SwarmConfiguration): SimulationStep {
  return { do: 'conditions', link: chance(random, 60) ? 'all' : oneOf(random, links), conditions: options.links ?? {} };
}

/** A kind of disk fault; all disks of the sick node take turns. */
function diskKind(kind: DiskFault['kind'], fault: (random: SeededRandom, sectors: number) => DiskFault): FaultKind {
  return {
    name: `disk: ${kind}`,
    percent: 15,
    weight: 5,
    draw(random, drawn) {
      const where = diskOf(random, drawn);
      return { do: 'disk', ...where, fault: fault(random, sectorsOf(where, drawn)) };
    },
    repair: (random, drawn) => ({ do: 'mend', ...diskOf(random, drawn) }),
  };
}

interface DiskAddress {
  readonly node: NodeName;
  readonly disk: DiskName;
  readonly mirror?: string;
}

function diskOf(random: SeededRandom, { sickNode, options }: SwarmConfiguration): DiskAddress {
  const disk = oneOf<DiskName>(random, ['element', 'metadata', 'record']);
  if (disk === 'record') return { node: sickNode, disk };
  return { node: sickNode, disk, mirror: oneOf(random, options.mirrors ?? []).name };
}

/** Where a fault may lie: anywhere on the disk. */
function sectorsOf({ disk, mirror }: DiskAddress, { options }: SwarmConfiguration): number {
  if (disk === 'record') return pairRecordBytes / sectorBytes;
  const sizeBytes = options.mirrors?.find(({ name }) => name === mirror)?.sizeBytes ?? sectorBytes;
  return (disk === 'element' ? sizeBytes : elementMetadataBytes(sizeBytes)) / sectorBytes;
}

function unreadable(random: SeededRandom, sectors: number): DiskFault {
  // One sector spoils one of the two copies of a record, many spoil both; the beginning of an element is in use for sure.
  const length = chance(random, 60) ? 1 : within(random, 1, Math.min(longestUnreadable, sectors));
  const first = chance(random, 40) ? 0 : random.below(sectors - length + 1);
  return { kind: 'unreadable', offsetBytes: sectorBytes * first, lengthBytes: sectorBytes * length };
}
