import type { SimulationEntry } from '../simulation/entry.ts';
import { InvariantError } from '../simulation/invariant-error.ts';
import { simulatePair } from '../simulation/simulated-pair.ts';
import type { SimulationSchedule } from '../simulation/schedule.ts';
import type { BrokenPromise, SimulationRunner, StartRunner } from './runner.ts';

/** What became of one run of a schedule. */
export interface RunReport {
  readonly outcome: 'held' | 'broken';
  /** The promise that broke; null where all held. */
  readonly invariant: BrokenPromise | null;
  /** What broke, in words; empty where nothing did. */
  readonly text: string;
  /** Everything that happened, in order. */
  readonly log: readonly SimulationEntry[];
  /** Requests of the application that succeeded. */
  readonly acknowledged: number;
  /** How much virtual time the run took. */
  readonly virtualMs: number;
  /** Steps that were performed, the one that broke a promise included. */
  readonly stepsPerformed: number;
}

/** How {@link runSchedule} reaches what lies outside of it. */
export interface RunHooks {
  /** Makes the pair. Default `simulatePair`. */
  readonly start?: StartRunner;
  /**
   * Hears of errors that nobody caught, and of rejections that nobody handled, until the function that it gives is called. Absent: nobody watches,
   * and they end the process as usual.
   */
  readonly watchUncaught?: (caught: (error: unknown) => void) => () => void;
}

/** Runs a schedule to its end, or to the first broken promise. Never rejects: whatever goes wrong is in the report. */
export async function runSchedule(schedule: SimulationSchedule, hooks: RunHooks = {}): Promise<RunReport> {
  const uncaught = watch(hooks);
  const run = new Run();
  try {
    // What nobody caught may leave the run waiting for good.
    await Promise.race([run.perform(schedule, hooks.start ?? simulatePair), uncaught.error]);
    return run.report('held', null, '');
  } catch (error) {
    return run.report('broken', promiseOf(error), textOf(error));
  } finally {
    uncaught.stop();
    run.close();
  }
}

class Run {
  #pair: SimulationRunner | null = null;
  #stepsPerformed = 0;
  #closed = false;

  async perform({ options, steps }: SimulationSchedule, start: StartRunner): Promise<void> {
    const pair = await start(options);
    this.#pair = pair;
    for (const step of steps) {
      if (this.#closed) return;
      this.#stepsPerformed += 1;
      await pair.perform(step);
    }
    await pair.settle();
  }

  report(outcome: RunReport['outcome'], invariant: BrokenPromise | null, text: string): RunReport {
    const { log = [], acknowledged = 0, nowMs: virtualMs = 0 } = this.#pair ?? {};
    return { outcome, invariant, text, log: [...log], acknowledged, virtualMs, stepsPerformed: this.#stepsPerformed };
  }

  close(): void {
    this.#closed = true;
    this.#pair?.close();
  }
}

function watch({ watchUncaught }: RunHooks): { readonly error: Promise<never>; readonly stop: () => void } {
  let stop: () => void = () => undefined;
  const error = new Promise<never>((_resolve, reject) => {
    stop = watchUncaught?.((reason) => reject(new UncaughtError(reason))) ?? stop;
  });
  // Where the run itself ends first nobody waits for it.
  error.catch(() => undefined);
  return { error, stop };
}

/** What nobody caught, so that no code of its own passes for a broken promise. */
class UncaughtError extends Error {
  override readonly name: string = 'UncaughtError';

  constructor(cause: unknown) {
    super(`nobody caught: ${String(cause)}`, { cause });
  }
}

function promiseOf(error: unknown): BrokenPromise {
  return error instanceof InvariantError ? error.invariant : 'no-crash';
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The place in the code is what helps with an error that nobody expected.
  return promiseOf(error) === 'no-crash' ? (stackOf(error.cause) ?? stackOf(error) ?? error.message) : error.message;
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
