import type { PairSimulationOptions } from '../../src/testing/simulation/options.ts';
import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { NodeName, SimulationStep } from '../../src/testing/simulation/steps.ts';

/**
 * Schedules that do again and again what the swarm draws now and then: a mutant that needs just that is hunted with one of them, and only the chance of the pair
 * follows from the seed.
 */
const busy = { pauseMs: 10, depth: 12 };
const fast = { intervalMs: 250, deadlineMs: 1_000, leaseMs: 750, initialGraceMs: 2_000 };
const aloneMs = 4_000;

function schedule(options: PairSimulationOptions, steps: readonly SimulationStep[]): SimulationSchedule {
  return { version: 1, options: { times: fast, ...options }, steps };
}

function repeated(times: number, steps: readonly SimulationStep[]): readonly SimulationStep[] {
  return Array.from({ length: times }, () => steps).flat();
}

const run = (forMs: number): SimulationStep => ({ do: 'run', forMs });

/** Nothing passes any more, and every connection has ended. */
const cutOff: readonly SimulationStep[] = [
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

const metadataCopyBytes = 16_384;
/** Both copies of the first page of the dirty map. */
const dirtyPage = { offsetBytes: 2 * metadataCopyBytes, lengthBytes: 8_192 };
const unreadable = (node: NodeName, range: { readonly offsetBytes: number; readonly lengthBytes: number }): SimulationStep => ({
  do: 'disk',
  node,
  disk: 'metadata',
  fault: { kind: 'unreadable', ...range },
});

/** A node that was left alone starts again while one copy of its metadata, either of them, cannot be read. */
export const oneCopyLost: SimulationSchedule = schedule(
  { workload: busy },
  [0, metadataCopyBytes, metadataCopyBytes, 0].flatMap((offsetBytes) => [
    run(1_000),
    { do: 'stop', node: 'beta' },
    run(aloneMs),
    unreadable('alpha', { offsetBytes, lengthBytes: 512 }),
    { do: 'crash', node: 'alpha', how: 'process' },
    { do: 'boot', node: 'alpha' },
    { do: 'boot', node: 'beta' },
    run(2 * aloneMs),
  ]),
);

/** A source that crashed twice, cut off, while its writes were under way, finds no copy of its dirty map; its target holds all that counts. */
export const dirtyMapLost: SimulationSchedule = schedule(
  {
    policy: { whenAlone: 'freeze', control: 'manual' },
    workload: { ...busy, pauseMs: 40, writesPercent: 80, readsPercent: 20, blocks: 256 },
    links: { delayMs: 20 },
  },
  [
    run(1_000),
    ...cutOff,
    run(500),
    { do: 'crash', node: 'alpha', how: 'process' },
    { do: 'boot', node: 'alpha' },
    run(500),
    unreadable('alpha', dirtyPage),
    { do: 'crash', node: 'alpha', how: 'process' },
    { do: 'boot', node: 'alpha' },
    run(500),
  ],
);

/** A source cut off loses its newest log entry with the copy that held it: a region is first written to while its entry is in one copy alone. */
export const newestLogLost: SimulationSchedule = schedule(
  { policy: { whenAlone: 'freeze' }, workload: { ...busy, writesPercent: 100, readsPercent: 0 }, links: { delayMs: 20 } },
  [0, metadataCopyBytes, metadataCopyBytes, 0].flatMap((offsetBytes) => [
    run(1_000),
    ...cutOff,
    run(200),
    unreadable('alpha', { offsetBytes, lengthBytes: 512 }),
    { do: 'crash', node: 'alpha', how: 'process' },
    { do: 'boot', node: 'alpha' },
    { do: 'heal', link: 'all' },
    run(2 * aloneMs),
  ]),
);

/** Either node loses power with more regions in use than the activity log holds, and what left it in caches. */
export const crowdedLog: SimulationSchedule = schedule(
  {
    powerCuts: true,
    policy: { whenAlone: 'freeze' },
    mirrors: [{ name: 'm0', sizeBytes: 9_437_184 }],
    activeRegions: 2,
    workload: { ...busy, pauseMs: 50, depth: 2, writesPercent: 100, readsPercent: 0, fuaPercent: 0, blocks: 16 },
  },
  (['beta', 'alpha'] as const).flatMap((node) => [run(1_000), { do: 'crash', node, how: 'power' }, { do: 'boot', node }, run(aloneMs)]),
);

/** A source whose flush failed in a handshake loses power later, as its target does. */
export const flushFails: SimulationSchedule = schedule(
  {
    powerCuts: true,
    policy: { whenAlone: 'freeze' },
    workload: { ...busy, writesPercent: 70, readsPercent: 25, fuaPercent: 0, blocks: 256 },
  },
  repeated(2, [
    run(500),
    { do: 'disk', node: 'alpha', disk: 'element', fault: { kind: 'flush-error', count: 1 } },
    { do: 'break', link: 'data' },
    run(300),
    { do: 'crash', node: 'beta', how: 'power' },
    { do: 'crash', node: 'alpha', how: 'power' },
    { do: 'boot', node: 'alpha' },
    { do: 'boot', node: 'beta' },
    run(aloneMs),
  ]),
);

/** The target dies at some effect; then the source can no longer read its metadata, and an operator has the target serve what it holds. */
export const onlyTargetLeft: SimulationSchedule = schedule(
  { policy: { whenAlone: 'freeze' }, synchronousElements: true, workload: { ...busy, writesPercent: 50, readsPercent: 50, blocks: 64 } },
  [
    run(1_000),
    { do: 'crash', node: 'beta', how: 'process', afterEffects: 108 },
    run(600),
    unreadable('alpha', { offsetBytes: 0, lengthBytes: 2 * metadataCopyBytes }),
    { do: 'crash', node: 'alpha', how: 'process' },
    { do: 'boot', node: 'alpha' },
    run(500),
  ],
);
