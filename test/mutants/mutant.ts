import type { ExplorationOptions } from '../../src/testing/exploration/options.ts';
import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';

/** One change of a source file. */
export interface Edit {
  /** Below `src/`. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** The code broken on purpose, as a good engineer might break it. */
export interface Mutant {
  readonly name: string;
  /** The rule that is broken, and how. */
  readonly breaks: string;
  /** More than one where a second line of defence would hide the first. */
  readonly edits: readonly Edit[];
  /** The simulator catches it with one of the seeds from 1 to this; an exploration, within so many schedules. */
  readonly withinSeeds: number;
  /** What is run with each seed; absent: what the swarm draws from it. */
  readonly schedule?: SimulationSchedule;
  /** What is explored in place of running seeds. */
  readonly explore?: ExplorationOptions;
}

/** A compiled module that takes the place of another. */
export interface ReplacedModule {
  readonly url: string;
  readonly source: string;
}

/** What the broken code of a mutant sets in its global scope, so that nobody takes the unbroken code for it. */
export const mutantMark = '__hotmirrorMutant';
