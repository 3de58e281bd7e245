import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import type { SimulationSchedule } from '../../../src/testing/simulation/schedule.ts';
import { simulatePair } from '../../../src/testing/simulation/simulated-pair.ts';
import { drawSchedule } from '../../../src/testing/swarm/draw-schedule.ts';
import { runSchedule } from '../../../src/testing/swarm/run-schedule.ts';

/** The log of one seed of the swarm with every token and request, a line each, and how it ended. */
export async function simulationLog(seed: number): Promise<readonly string[]> {
  const drawn = drawSchedule(seed);
  const schedule: SimulationSchedule = { ...drawn, options: { ...drawn.options, detail: 'all' } };
  const { log, outcome, invariant, acknowledged, virtualMs } = await runSchedule(schedule, { start: simulatePair });
  const lines = [schedule, ...log, { outcome, invariant, acknowledged, virtualMs }].map((entry) => JSON.stringify(entry));
  return lines;
}

/** One short text that differs where any byte of the log does. */
export function digestOf(lines: readonly string[]): string {
  return `${String(lines.length)} lines, ${createHash('sha256').update(lines.join('\n')).digest('hex')}`;
}

/** As a program: prints the digest of each seed, or with --log the whole log of one. */
async function main(...seeds: readonly string[]): Promise<void> {
  if (seeds[0] === '--log') {
    console.log((await simulationLog(Number(seeds[1]))).join('\n'));
    return;
  }
  for (const seed of seeds) console.log(digestOf(await simulationLog(Number(seed))));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(...process.argv.slice(2));
