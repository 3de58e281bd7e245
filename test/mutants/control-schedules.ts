import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { SimulationStep } from '../../src/testing/simulation/steps.ts';
import { busy, repeated, run, schedule } from './schedules.ts';

const readers = { ...busy, writesPercent: 5, readsPercent: 95, blocks: 1 };
const settleMs = 4_000;

/** The serving machine is suspended at the moment of a partition, for less than its lease and the rest of it outlast the deadline of its peer. */
export const suspendedServer: SimulationSchedule = schedule({ policy: { whenAlone: 'freeze' }, workload: { ...readers, pauseMs: 20 } }, [
  run(1_000),
  { do: 'cut', link: 'all' },
  { do: 'pause', node: 'alpha', forMs: 900, suspend: true },
  run(settleMs),
]);

/** Both nodes live, no link carries, and of what they ask the arbiter a quarter is lost on its way. */
export const lossyArbiter: SimulationSchedule = schedule(
  { arbiter: true, policy: { whenAlone: 'arbiter' }, latencies: { arbiterMs: 20 }, workload: busy },
  repeated(6, [
    run(1_000),
    { do: 'arbiter', reachable: true, lossPercent: 25 },
    { do: 'cut', link: 'all' },
    run(settleMs),
    { do: 'arbiter', reachable: true },
    { do: 'heal', link: 'all' },
    run(settleMs),
  ]),
);

const fenced = { fence: true, policy: { whenAlone: 'continue' }, workload: busy } as const;

function failingFence(node: 'alpha' | 'beta', times: number): readonly SimulationStep[] {
  return Array.from({ length: times }, () => ({ do: 'platform', node, step: 'fence', outcome: 'fail' }));
}

/** No link carries, and no fence succeeds for a while. */
export const failingFences: SimulationSchedule = schedule(fenced, [
  run(1_000),
  ...failingFence('alpha', 6),
  ...failingFence('beta', 6),
  { do: 'cut', link: 'all' },
  run(3 * settleMs),
]);

/** No link carries, and the fence of the standby takes longer than the serving node waits. */
export const slowFence: SimulationSchedule = schedule(fenced, [
  run(1_000),
  ...failingFence('beta', 2),
  { do: 'cut', link: 'all' },
  run(2 * settleMs),
]);
