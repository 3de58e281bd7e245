import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { SimulationStep } from '../../src/testing/simulation/steps.ts';
import type { Mutant } from './mutant.ts';
import { busy, run, schedule } from './schedules.ts';

/** Of a schedule made for it a mutant needs a few seeds. */
const targetedSeeds = 12;
const awayMs = 3_000;
const deaths = 6;
const effectsUntilTheFirst = 22;
const effectsBetweenDeaths = 4;

/** The target was away while the source wrote; the source dies at one moment of the resync after the other, and an operator takes back what came of it. */
const takenBack: SimulationSchedule = schedule(
  {
    policy: { whenAlone: 'continue' },
    partitions: false,
    mirrors: [{ name: 'm0', sizeBytes: 524_288 }],
    undoJournalExtents: 160,
    latencies: { elementMs: 3, metadataMs: 1 },
    workload: { ...busy, writesPercent: 90, readsPercent: 5, blocks: 64 },
  },
  Array.from({ length: deaths }, (_, at) => interrupted(effectsUntilTheFirst + effectsBetweenDeaths * at)).flat(),
);

function interrupted(afterEffects: number): readonly SimulationStep[] {
  return [
    { do: 'crash', node: 'beta', how: 'process' },
    run(awayMs),
    { do: 'boot', node: 'beta' },
    run(1),
    { do: 'crash', node: 'alpha', how: 'process', afterEffects },
    run(1_000),
    { do: 'operator', node: 'beta', order: 'roll-back' },
    run(1_000),
    { do: 'boot', node: 'alpha' },
    run(awayMs),
  ];
}

/** Bugs of what takes back an unfinished resync. */
export const undoMutants: readonly Mutant[] = [
  {
    name: 'overwrites a target before its journal holds what was there',
    breaks: 'resync.undo',
    edits: [
      {
        file: 'mirror/pre-images.ts',
        find: `head && (this.#lost || this.#missing(head, 1).length === 0); head`,
        replace: `head && (this.#lost || this.#waiting.length > 0); head`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: takenBack,
  },
];
