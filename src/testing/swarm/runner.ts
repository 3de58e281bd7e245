import type { PairSimulationOptions } from '../simulation/options.ts';
import type { SimulationEntry } from '../simulation/entry.ts';
import type { SimulationStep } from '../simulation/steps.ts';
import type { InvariantName } from '../simulation/watcher.ts';

/** What a run may break: a promise of the pair, or `no-crash`: nothing throws that nobody expected. */
export type BrokenPromise = InvariantName | 'no-crash';

/** A simulated pair as the swarm drives it. */
export interface SimulationRunner {
  readonly log: readonly SimulationEntry[];
  /** Virtual time since the beginning. */
  readonly nowMs: number;
  /** Requests of the application that succeeded. */
  readonly acknowledged: number;
  /** Rejects with `InvariantError` the moment a promise breaks. */
  perform(step: SimulationStep): Promise<void>;
  /** Faults stop; rejects with `InvariantError` where the pair does not become whole, or a promise turns out broken. */
  settle(): Promise<void>;
  /** Nothing runs any more. */
  close(): void;
}

/** Makes a pair, both nodes up. */
export type StartRunner = (options: PairSimulationOptions) => Promise<SimulationRunner>;
