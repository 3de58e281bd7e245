import { register } from 'node:module';
import { setImmediate } from 'node:timers/promises';

import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { RunReport } from '../../src/testing/swarm/run-schedule.ts';
import type { Caught, HuntOrder, HuntReport } from './hunt.ts';
import { mutantMark } from './mutant.ts';

/**
 * A process of its own for one hunt: it loads the simulator with the mutant's modules in it, runs the schedules, tells of each seed before it is run, and at
 * the end what it found.
 */
process.once('message', (order) => {
  void hunt(order as HuntOrder).then((report) => {
    process.send?.(report);
    process.disconnect();
  });
});
process.once('disconnect', () => process.exit());

async function hunt({ modules, firstSeed, lastSeed, schedule, explore }: HuntOrder): Promise<HuntReport> {
  if (modules.length > 0) register('./replace-modules.js', import.meta.url, { data: modules });
  const { simulatePair } = await import('../../src/testing/simulation/simulated-pair.ts');
  const { drawSchedule } = await import('../../src/testing/swarm/draw-schedule.ts');
  const { runSchedule } = await import('../../src/testing/swarm/run-schedule.ts');
  const { explore: startExploring } = await import('../../src/testing/exploration/explore.ts');
  const { calmSchedule } = await import('./calm-schedule.ts');
  if (modules.length > 0 !== Boolean((globalThis as Record<string, unknown>)[mutantMark])) throw new Error('the mutant was not loaded');
  const run = (schedule: SimulationSchedule): Promise<RunReport> => runSchedule(schedule, { start: simulatePair, watchUncaught });
  const startedMs = performance.now();
  const report = (seed: number | null, invariant: Caught | null, text: string): HuntReport => ({
    seed,
    invariant,
    text,
    elapsedMs: performance.now() - startedMs,
  });
  process.send?.(0);
  const calm = await run(calmSchedule);
  if (calm.invariant === 'convergence' || calm.invariant === 'no-crash') return report(0, calm.invariant, calm.text);
  if (explore) {
    const { schedules, findings, mistaken } = await startExploring({ ...explore, maxSchedules: lastSeed });
    const [finding] = findings;
    if (finding) return report(schedules, finding.what as Caught, finding.text);
    return mistaken[0] === undefined ? report(null, null, '') : report(schedules, 'mistaken', mistaken[0]);
  }
  for (let seed = firstSeed; seed <= lastSeed; seed += 1) {
    process.send?.(seed);
    // A run may never leave the microtask queue; what is to be said has to get out.
    await setImmediate();
    const { invariant, text } = await run(schedule ? { ...schedule, options: { ...schedule.options, seed } } : drawSchedule(seed));
    if (invariant !== null) return report(seed, invariant, text);
  }
  return report(null, null, '');
}

/** A broken program may throw where nobody catches it. */
function watchUncaught(caught: (error: unknown) => void): () => void {
  process.on('uncaughtException', caught);
  return () => void process.off('uncaughtException', caught);
}
