import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';

/** A pair at work and without a fault: what every mutant must pass, or it would be no bug that anyone could overlook. */
export const calmSchedule: SimulationSchedule = {
  version: 1,
  options: { seed: 1, mirrors: [{ name: 'm0' }, { name: 'm1' }], workload: {}, latencies: { elementMs: 2, metadataMs: 2 } },
  steps: [{ do: 'run', forMs: 20_000 }],
};
