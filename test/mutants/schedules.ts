import type { PairSimulationOptions } from '../../src/testing/simulation/options.ts';
import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { SimulationStep } from '../../src/testing/simulation/steps.ts';

/**
 * Schedules that do again and again what the swarm draws now and then: a mutant that needs just that is hunted with one of them, and only the chance of the pair
 * follows from the seed.
 */

/** An application that asks without end. */
export const busy = { pauseMs: 10, depth: 12 };
const fast = { intervalMs: 250, deadlineMs: 1_000, leaseMs: 750, initialGraceMs: 2_000 };
/** Long enough for a node to see that it is alone, and to go on so. */
export const aloneMs = 4_000;
const mebibyte = 1_048_576;

export function schedule(options: PairSimulationOptions, steps: readonly SimulationStep[]): SimulationSchedule {
  return { version: 1, options: { times: fast, ...options }, steps };
}

export function repeated(times: number, steps: readonly SimulationStep[]): readonly SimulationStep[] {
  return Array.from({ length: times }, () => steps).flat();
}

export const run = (forMs: number): SimulationStep => ({ do: 'run', forMs });

/** Nothing passes any more, and every connection has ended. */
export const cutOff: readonly SimulationStep[] = [
  { do: 'cut', link: 'all' },
  { do: 'break', link: 'all' },
];

/** Both nodes live and no link carries; readers do not stop asking the one that cannot write. */
export const partition: SimulationSchedule = schedule(
  { policy: { whenAlone: 'freeze' }, workload: { ...busy, pauseMs: 100, writesPercent: 5, readsPercent: 95, blocks: 1 } },
  [run(1_000), { do: 'cut', link: 'all' }, run(aloneMs)],
);

/** A partition that ends every connection while writes are under way. */
export const brokenPartition: SimulationSchedule = schedule(
  { policy: { whenAlone: 'freeze' }, workload: { ...busy, writesPercent: 80, readsPercent: 20 }, links: { delayMs: 20 } },
  [run(1_000), ...cutOff, run(aloneMs)],
);

/** The target loses what it had cached, and comes back. */
export const targetLosesPower: SimulationSchedule = schedule(
  {
    powerCuts: true,
    policy: { whenAlone: 'freeze' },
    workload: { ...busy, writesPercent: 80, readsPercent: 10, fuaPercent: 20, blocks: 32 },
  },
  repeated(4, [run(500), { do: 'crash', node: 'beta', how: 'power' }, run(50), { do: 'boot', node: 'beta' }, run(aloneMs)]),
);

/** The source is alone beside a living peer, crashes and comes back. */
export const crashAlone: SimulationSchedule = schedule({ workload: busy }, [
  run(1_000),
  { do: 'cut', link: 'data' },
  run(aloneMs),
  { do: 'crash', node: 'alpha', how: 'process' },
  { do: 'heal', link: 'data' },
  { do: 'boot', node: 'alpha' },
  run(aloneMs),
]);

/** The source is alone, is stopped in order, and both come back. */
export const stopAlone: SimulationSchedule = schedule({ workload: busy }, [
  run(1_000),
  { do: 'crash', node: 'beta', how: 'process' },
  run(aloneMs),
  { do: 'stop', node: 'alpha' },
  run(aloneMs),
  { do: 'boot', node: 'alpha' },
  { do: 'boot', node: 'beta' },
  run(aloneMs),
]);

/** A node that was alone and has its peer back is cut off. */
export const cutOffAfterAlone: SimulationSchedule = schedule({ arbiter: true, policy: { whenAlone: 'arbiter' }, workload: busy }, [
  run(1_000),
  { do: 'crash', node: 'beta', how: 'process' },
  run(aloneMs),
  { do: 'boot', node: 'beta' },
  run(aloneMs),
  { do: 'arbiter', reachable: false, node: 'alpha' },
  ...cutOff,
  run(aloneMs),
]);

/** The target misses writes, comes back without its data link, and loses its source. */
export const staleTarget: SimulationSchedule = schedule({ workload: busy }, [
  run(1_000),
  { do: 'crash', node: 'beta', how: 'process' },
  run(aloneMs),
  { do: 'cut', link: 'data' },
  { do: 'boot', node: 'beta' },
  run(aloneMs),
  { do: 'crash', node: 'alpha', how: 'process' },
  run(aloneMs),
]);

/** The data link breaks again and again while the same few blocks are written on slow disks. */
export const breakingLink: SimulationSchedule = schedule(
  { workload: { ...busy, writesPercent: 80, readsPercent: 20, blocks: 2 }, latencies: { elementMs: 15, metadataMs: 0 } },
  repeated(20, [{ do: 'break', link: 'data' }, run(200)]),
);

/** Both nodes live, no link carries, and both reach the arbiter. */
export const arbitratedPartition: SimulationSchedule = schedule({ arbiter: true, policy: { whenAlone: 'arbiter' }, workload: busy }, [
  run(1_000),
  { do: 'cut', link: 'all' },
  run(aloneMs),
]);

/** One monitor link is silent; all others carry. */
export const oneSilentLink: SimulationSchedule = schedule({ policy: { whenAlone: 'freeze' }, workload: busy }, [
  run(1_000),
  { do: 'cut', link: 'mon1' },
  run(aloneMs),
]);

/** The monitor links are silent; the data link carries. */
export const silentMonitorLinks: SimulationSchedule = schedule({ policy: { whenAlone: 'freeze' }, workload: busy }, [
  run(1_000),
  { do: 'cut', link: 'mon1' },
  { do: 'cut', link: 'mon2' },
  run(aloneMs),
]);

const flickers = 12;
const firstFlickerMs = 270;
const betweenFlickersMs = 10;

/**
 * The data link comes back for a moment while the serving node is about to go on alone, and then nothing carries. Each time the moment is a little later: when the
 * record is raised depends on the delays.
 */
export const flickersBeforeGoingAlone: SimulationSchedule = schedule(
  { policy: { whenAlone: 'freeze' }, workload: null, monitorLinks: ['mon1'], links: { delayMs: 1, jitterMs: 18 }, threadLagMs: 50 },
  Array.from({ length: flickers }, (_, at): readonly SimulationStep[] => [
    run(1_000),
    { do: 'conditions', link: 'data', conditions: { delayMs: 1 } },
    { do: 'cut', link: 'data' },
    { do: 'break', link: 'data' },
    run(firstFlickerMs + at * betweenFlickersMs),
    { do: 'heal', link: 'data' },
    run(10),
    ...cutOff,
    run(aloneMs),
    { do: 'heal', link: 'all' },
    run(aloneMs),
  ]).flat(),
);

/** A former owner starts without a link to the node that took over from it. */
export const bootCutOff: SimulationSchedule = schedule({ policy: { whenAlone: 'freeze' }, workload: busy }, [
  run(1_000),
  { do: 'crash', node: 'alpha', how: 'process' },
  run(aloneMs),
  { do: 'cut', link: 'all' },
  { do: 'boot', node: 'alpha' },
  run(2 * aloneMs),
]);

/** A partition, in which the standby takes over, heals. */
export const healedPartition: SimulationSchedule = schedule(
  { policy: { whenAlone: 'freeze' }, workload: { ...busy, writesPercent: 5, readsPercent: 95 } },
  [run(1_000), { do: 'cut', link: 'all' }, run(aloneMs), { do: 'heal', link: 'all' }, run(aloneMs)],
);

/** Requests overlap in part at both nodes, nothing passes any more, and the standby takes over. */
export const overlapsInPartition: SimulationSchedule = schedule(
  {
    policy: { whenAlone: 'freeze' },
    workload: { ...busy, overlapsPercent: 80, writesPercent: 30, readsPercent: 65, blocks: 2 },
    links: { delayMs: 20 },
  },
  [run(1_000), { do: 'cut', link: 'all' }, run(aloneMs)],
);

/** The data link breaks again and again while requests overlap across the borders of extents, on slow disks. */
export const copyUnderOverlaps: SimulationSchedule = schedule(
  {
    workload: { ...busy, overlapsPercent: 100, writesPercent: 80, readsPercent: 20, blocks: 16, blockBytes: 12_288 },
    latencies: { elementMs: 15, metadataMs: 0 },
  },
  repeated(20, [{ do: 'break', link: 'data' }, run(200)]),
);

const long: PairSimulationOptions = {
  mirrors: [{ name: 'm0', sizeBytes: 3 * mebibyte }],
  workload: { depth: 12, pauseMs: 40, longPercent: 15, zeroesPercent: 25, writesPercent: 80, readsPercent: 15 },
  latencies: { elementMs: 40, metadataMs: 0 },
};

/** Writes of two messages on slow disks, some of them of zeroes; the source goes on alone, then it dies in the middle of one. */
export const longWrites: SimulationSchedule = schedule(long, [
  run(500),
  { do: 'cut', link: 'data' },
  run(1_500),
  { do: 'heal', link: 'data' },
  run(1_000),
  { do: 'crash', node: 'alpha', how: 'process' },
  run(500),
]);

/** Writes of two messages that no flush covers, while the target loses power. */
export const longWritesAndPowerCuts: SimulationSchedule = schedule(
  { ...long, powerCuts: true, policy: { whenAlone: 'freeze' }, workload: { ...long.workload, fuaPercent: 0 } },
  [run(300), { do: 'crash', node: 'beta', how: 'power' }, run(50), { do: 'boot', node: 'beta' }, run(500)],
);

/** Writes of two messages, some of them in two regions of a log that is full, while their source dies again and again. */
export const longWritesInTwoRegions: SimulationSchedule = schedule(
  { ...long, mirrors: [{ name: 'm0', sizeBytes: 9 * mebibyte }], activeRegions: 2 },
  repeated(2, [
    run(500),
    { do: 'crash', node: 'alpha', how: 'process' },
    { do: 'boot', node: 'alpha' },
    run(500),
    { do: 'crash', node: 'beta', how: 'process' },
    { do: 'boot', node: 'beta' },
    run(500),
  ]),
);

/** No link is cut: first the standby stands still, then the primary, which has gone on alone meanwhile. */
export const pausesAlone: SimulationSchedule = {
  version: 1,
  options: {
    mirrors: [{ name: 'm0', sizeBytes: 65_536 }],
    monitorLinks: ['mon1'],
    policy: { whenAlone: 'continue' },
    partitions: false,
    workload: {},
    threadLagMs: 0,
  },
  steps: [{ do: 'pause', node: 'beta', forMs: 13_044 }, run(11_143), { do: 'pause', node: 'alpha', forMs: 9_785 }, run(20_000)],
};
