import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { SimulationStep } from '../../src/testing/simulation/steps.ts';
import { busy, repeated, run, schedule } from './schedules.ts';

const worn: SimulationStep = {
  do: 'disk',
  node: 'alpha',
  disk: 'element',
  fault: { kind: 'unreadable', offsetBytes: 0, lengthBytes: 65_536 },
};

/** Blocks of the serving node that are read and written all the time can no longer be read, again and again. */
export const wornOut: SimulationSchedule = schedule(
  {
    policy: { whenAlone: 'freeze' },
    mirrors: [{ name: 'm0', sizeBytes: 65_536 }],
    latencies: { elementMs: 8 },
    links: { delayMs: 3, jitterMs: 3 },
    workload: { ...busy, pauseMs: 4, writesPercent: 50, readsPercent: 50, overlapsPercent: 50, blocks: 2 },
  },
  repeated(60, [run(100), worn]),
);

const failing = (kind: 'write-error' | 'flush-error'): SimulationStep => ({
  do: 'disk',
  node: 'alpha',
  disk: 'element',
  fault: { kind, count: 1 },
});

/** The serving node's element fails at a flush; its data link breaks again and again while it serves through the other node; then its process dies. */
export const diskLost: SimulationSchedule = schedule(
  {
    policy: { whenAlone: 'freeze' },
    mirrors: [{ name: 'm0', sizeBytes: 131_072 }],
    latencies: { elementMs: 4, metadataMs: 8 },
    links: { delayMs: 3 },
    workload: { ...busy, pauseMs: 4, writesPercent: 60, readsPercent: 30, overlapsPercent: 30, blocks: 4 },
  },
  [
    run(500),
    failing('write-error'),
    ...repeated(6, [run(400), { do: 'break', link: 'data' }]),
    run(500),
    { do: 'crash', node: 'alpha', how: 'process' },
    run(5_000),
  ],
);

/** The metadata of the serving node cannot be written for a while, so that its element is given up and nothing there tells of it at first; its process dies at once, within what follows. */
export const metadataLost: SimulationSchedule = schedule(
  {
    policy: { whenAlone: 'freeze' },
    mirrors: [{ name: 'm0', sizeBytes: 9_437_184 }],
    activeRegions: 2,
    latencies: { elementMs: 4, metadataMs: 8 },
    links: { delayMs: 3 },
    workload: { ...busy, pauseMs: 4, writesPercent: 80, readsPercent: 20, blocks: 64 },
  },
  [
    run(500),
    { do: 'disk', node: 'alpha', disk: 'metadata', fault: { kind: 'write-error', count: 3 } },
    run(3_000),
    { do: 'crash', node: 'alpha', how: 'process' },
    { do: 'boot', node: 'alpha' },
    run(3_000),
  ],
);

/** The metadata of the serving node stall, its element fails, and both machines lose their power; it starts first, and the arbiter lets it serve. */
export const failureUnrecorded: SimulationSchedule = schedule(
  {
    arbiter: true,
    policy: { whenAlone: 'arbiter' },
    mirrors: [{ name: 'm0', sizeBytes: 65_536 }],
    workload: busy,
  },
  [
    run(1_000),
    { do: 'disk', node: 'alpha', disk: 'metadata', fault: { kind: 'stall', forMs: 20_000 } },
    failing('write-error'),
    run(100),
    { do: 'crash', node: 'alpha', how: 'power' },
    { do: 'crash', node: 'beta', how: 'power' },
    { do: 'boot', node: 'alpha' },
    run(60_000),
  ],
);
