import type { SeededRandom } from '../seeded-random.ts';
import type { PairSimulationOptions, SimulatedMirrorOptions, SimulationTimes, WorkloadOptions } from '../simulation/options.ts';
import { maxDriftPpm } from '../simulation/options.ts';
import { nodeNames } from '../simulation/steps.ts';
import type { NodeName } from '../simulation/steps.ts';
import type { LinkConditions } from '../../transport/link-conditions.ts';
import { chance, oneOf, within } from './chance.ts';

/** What a schedule is drawn for: the pair, and what of it may be touched. */
export interface SwarmConfiguration {
  readonly options: PairSimulationOptions;
  /** Every single link by its name. */
  readonly links: readonly string[];
  /** The link that carries at all times, where the policy promises nothing without one; null: every link may fail at once. */
  readonly steadyLink: string | null;
  /** The one node whose disks may fail. */
  readonly sickNode: NodeName;
  readonly deadlineMs: number;
}

const kibibyte = 1_024;
const mebibyte = 1_048_576;
/** Few extents and many, one activity-log region and several; small ones come most often, for they are fast. */
const mirrorSizes: readonly number[] = [
  64 * kibibyte,
  64 * kibibyte,
  128 * kibibyte,
  256 * kibibyte,
  512 * kibibyte,
  512 * kibibyte,
  mebibyte,
  2 * mebibyte,
  9 * mebibyte,
];
const crowdedMirrorBytes = 9 * mebibyte;
const defaultTimes: SimulationTimes = { intervalMs: 1_000, deadlineMs: 5_000, leaseMs: 3_750, initialGraceMs: 10_000 };
const fastTimes: SimulationTimes = { intervalMs: 250, deadlineMs: 1_000, leaseMs: 750, initialGraceMs: 2_000 };
const shortestDeadlineMs = 400;
const longestDeadlineMs = 6_000;
const longestDelayMs = 40;
/** How often the application asks, at least. */
const requestsPerDeadline: readonly number[] = [2, 3, 6, 10, 30];
/** Of the time between an interval and the lease: what delay and jitter may each take, so that a round trip fits (rule timing.lease). */
const delayShare = 0.2;
/** Of a deadline: how long a question may take to a slow arbiter, so that a node that asks a few times is done within one. */
/** By the seed, so that nothing else is drawn otherwise: of five configurations two use net disks. */
const fifth = 5;
const netDiskFifths = 2;
const slowArbiterShare = 0.15;

/** Draws the pair. */
export function drawConfiguration(random: SeededRandom): SwarmConfiguration {
  const policy = oneOf(random, ['freeze', 'freeze', 'arbiter', 'arbiter', 'continue'] as const);
  const mirrors = drawMirrors(random);
  const monitorLinks = oneOf(random, [['mon1', 'mon2'], ['mon1', 'mon2'], ['mon1']] as const);
  const links = [...mirrors.map(({ name }) => `data:${name}`), ...monitorLinks];
  const times = drawTimes(random);
  const powerCuts = chance(random, 40);
  // More regions than the activity log holds, so that it makes room while what it forgets is in caches alone.
  const crowded = powerCuts && chance(random, 15);
  const arbiter = policy === 'arbiter' || chance(random, policy === 'freeze' ? 10 : 20);
  const fence = chance(random, policy === 'continue' ? 50 : 15);
  // A fence or an arbiter promises one owner although no link is left.
  const partitions = policy !== 'continue' || ((fence || arbiter) && chance(random, 75));
  const seed = random.next32();
  const options: PairSimulationOptions = {
    seed,
    ...(seed % fifth < netDiskFifths ? { netDisk: true } : {}),
    mirrors: crowded ? mirrors.map((mirror) => ({ ...mirror, sizeBytes: crowdedMirrorBytes })) : mirrors,
    monitorLinks,
    arbiter,
    ...(fence ? { fence } : {}),
    policy: { whenAlone: policy },
    ...(partitions ? {} : { partitions }),
    ...(times === defaultTimes ? {} : { times }),
    workload: drawWorkload(random, times, powerCuts),
    links: drawConditions(random, times, partitions),
    ...(chance(random, 40) ? { synchronousElements: true } : {}),
    latencies: {
      elementMs: oneOf(random, [0, 0, 2, 15]),
      metadataMs: oneOf(random, [0, 0, 2, 15, 120]),
      ...(arbiter ? { arbiterMs: oneOf(random, [0, 0, 3, Math.floor(times.deadlineMs * slowArbiterShare)]) } : {}),
    },
    powerCuts,
    driftPpm: drawDrift(random),
    threadLagMs: oneOf(random, [0, 3, 3, 10, 50]),
    activeRegions: crowded ? 2 : oneOf(random, [2, 3, 64, 64]),
  };
  return {
    options,
    links,
    steadyLink: partitions ? null : oneOf(random, links),
    sickNode: oneOf(random, nodeNames),
    deadlineMs: times.deadlineMs,
  };
}

function drawMirrors(random: SeededRandom): readonly SimulatedMirrorOptions[] {
  const names = oneOf(random, [['m0'], ['m0'], ['m0'], ['m0', 'm1']] as const);
  return names.map((name) => ({ name, sizeBytes: oneOf(random, mirrorSizes) }));
}

/** Default, fast, or odd ones within the timing rules. */
function drawTimes(random: SeededRandom): SimulationTimes {
  const dice = random.below(10);
  if (dice < 3) return defaultTimes;
  if (dice < 7) return fastTimes;
  const deadlineMs = within(random, shortestDeadlineMs, longestDeadlineMs);
  const intervalMs = within(random, Math.ceil(deadlineMs / 10), Math.floor(deadlineMs / 3));
  const leaseMs = within(random, Math.ceil((deadlineMs * 2) / 3), Math.floor((deadlineMs * 9) / 10));
  return { intervalMs, deadlineMs, leaseMs, initialGraceMs: deadlineMs * 2 + random.below(deadlineMs) };
}

function drawWorkload(random: SeededRandom, { deadlineMs }: SimulationTimes, powerCuts: boolean): WorkloadOptions {
  const writesPercent = oneOf(random, [20, 50, 50, 80]);
  return {
    blocks: oneOf(random, [1, 4, 8, 16, 32]),
    blockBytes: oneOf(random, [512, 512, 512, 4_096, 12_288]),
    depth: oneOf(random, [1, 4, 4, 12]),
    pauseMs: Math.ceil(deadlineMs / oneOf(random, requestsPerDeadline)),
    writesPercent,
    readsPercent: 90 - writesPercent,
    ...(powerCuts && chance(random, 50) ? { fuaPercent: oneOf(random, [0, 30]) } : {}),
    ...(chance(random, 25) ? { overlapsPercent: oneOf(random, [10, 40, 80]) } : {}),
    ...(chance(random, 20) ? { longPercent: 1 } : {}),
    ...(chance(random, 15) ? { zeroesPercent: oneOf(random, [5, 30]) } : {}),
  };
}

/** What every link is like at the beginning. Loss delays all links at once, by any time: only where that may happen. */
function drawConditions(random: SeededRandom, { intervalMs, leaseMs }: SimulationTimes, mayLose: boolean): LinkConditions {
  const longestMs = Math.max(1, Math.min(longestDelayMs, Math.floor((leaseMs - intervalMs) * delayShare)));
  const delayMs = chance(random, 60) ? 1 : within(random, 1, longestMs);
  const jitterMs = chance(random, 50) ? random.below(longestMs) : 0;
  const lostPerMillion = mayLose && chance(random, 25) ? oneOf(random, [1_000, 10_000, 50_000]) : 0;
  return { delayMs, ...(jitterMs === 0 ? {} : { jitterMs }), ...(lostPerMillion === 0 ? {} : { lostPerMillion }) };
}

function drawDrift(random: SeededRandom): Readonly<Partial<Record<NodeName, number>>> {
  const drifting = nodeNames.filter(() => chance(random, 33));
  return Object.fromEntries(drifting.map((node) => [node, within(random, -maxDriftPpm, maxDriftPpm)]));
}
