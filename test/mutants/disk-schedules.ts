import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { NodeName, SimulationStep } from '../../src/testing/simulation/steps.ts';
import { aloneMs, busy, cutOff, repeated, run, schedule } from './schedules.ts';

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
