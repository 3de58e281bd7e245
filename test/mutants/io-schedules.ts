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
