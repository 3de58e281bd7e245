import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { ExplorationOptions } from '../../src/testing/exploration/options.ts';
import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { BrokenPromise } from '../../src/testing/swarm/runner.ts';
import { compileMutant } from './compile-mutant.ts';
import type { Mutant, ReplacedModule } from './mutant.ts';
import { ownEnvironment } from '../support/environment.ts';

/** What a process is to do: load these modules in place of the files and run the seeds up to the first that breaks a promise. */
export interface HuntOrder {
  readonly modules: readonly ReplacedModule[];
  readonly firstSeed: number;
  readonly lastSeed: number;
  /** Run with each seed in place of what the swarm draws from it. */
  readonly schedule?: SimulationSchedule;
  /** Explored in place of running seeds, for as many schedules at most. */
  readonly explore?: ExplorationOptions;
}

/** What broke: a promise, or what an exploration finds: two owners, or two states taken for the same that went on differently. */
export type Caught = BrokenPromise | 'two-owners' | 'mistaken';

/** What came of it. */
export interface HuntReport {
  /** The first seed that broke a promise, or the schedules that were explored until one did; 0 where a pair without faults did, null where none did. */
  readonly seed: number | null;
  readonly invariant: Caught | null;
  readonly text: string;
  readonly elapsedMs: number;
}

const processFile = fileURLToPath(new URL('hunt-process.js', import.meta.url));
/** One seed takes a fraction of a second; this long none does that ends at all. */
const longestSeedMs = 120_000;

/** Hunts a mutant with the seeds that it promises to be caught within. */
export function hunt(mutant: Mutant): Promise<HuntReport> {
  const { schedule, explore, withinSeeds } = mutant;
  const how = { ...(schedule ? { schedule } : {}), ...(explore ? { explore } : {}) };
  return runHunt({ modules: compileMutant(mutant), firstSeed: 1, lastSeed: withinSeeds, ...how });
}

/** Runs one order in a process of its own, which takes no part in the coverage. Rejects where that ends without a report, or a seed does not end. */
export function runHunt(order: HuntOrder): Promise<HuntReport> {
  const child = fork(processFile, { env: ownEnvironment(), execArgv: [] });
  child.send(order);
  return reportOf(child).finally(() => child.kill('SIGKILL'));
}

function reportOf(child: ChildProcess): Promise<HuntReport> {
  let running = 'the start';
  return new Promise((resolve, reject) => {
    const hangs = setTimeout(() => reject(new Error(`${running} does not end`)), longestSeedMs);
    const end = (): void => clearTimeout(hangs);
    child.on('message', (message: number | HuntReport) => {
      hangs.refresh();
      if (typeof message === 'number') {
        running = `seed ${String(message)}`;
        return;
      }
      end();
      resolve(message);
    });
    child.once('exit', (code, signal) => {
      end();
      reject(new Error(`the process ended with ${String(code ?? signal)} in ${running}, without a report`));
    });
  });
}
