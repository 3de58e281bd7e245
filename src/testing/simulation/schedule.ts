import type { PairSimulationOptions } from './options.ts';
import type { SimulationStep } from './steps.ts';

/** A run from its beginning: what the pair is like and what happens to it. Plain data; the same schedule gives the same run. */
export interface SimulationSchedule {
  /** The form of this object. */
  readonly version: 1;
  /** What it is for, or once showed, in words; nothing depends on it. */
  readonly note?: string;
  readonly options: PairSimulationOptions;
  /** Afterwards faults stop and the pair must converge. */
  readonly steps: readonly SimulationStep[];
}
