import type { Clock } from '../../clock/clock.ts';
import { HotMirrorError } from '../../errors.ts';
import type { SwarmFailure } from '../../testing/swarm/failure-report.ts';
import type { SimulateVerdict } from '../programs.ts';
import { shrinkRuns } from './limits.ts';
import type { SwarmPool } from './swarm-pool.ts';

/** How many seeds are run, and until when. */
export interface SwarmOptions {
  readonly pool: SwarmPool;
  readonly clock: Clock;
  /** Whose abort ends it; what was run by then counts. */
  readonly signal: AbortSignal;
  readonly firstSeed: number;
  /** At most; `Infinity` where only time bounds it. */
  readonly count: number;
  /** No seed is begun later; `Infinity` where only the count bounds it. */
  readonly untilMs: number;
  readonly tell: (text: string) => void;
}

const reportEveryMs = 10_000;
/** With more broken seeds than these something is wrong that more of them do not tell. */
const mostBroken = 10;
/** Failures that are shrunk, in the order of their seeds. */
const mostShrunk = 3;
const seeds = 2 ** 32;
const hourMs = 3_600_000;
const msPerSecond = 1_000;

/** Runs seeds in a row on every thread of a pool, tells how it gets on, and shrinks what breaks. */
export class Swarm {
  readonly #options: SwarmOptions;
  readonly #failures: SwarmFailure[] = [];
  readonly #startedMs: number;
  #begun = 0;
  #held = 0;
  #virtualMs = 0;
  #acknowledged = 0;
  #endedMs = 0;
  #stopped = false;

  constructor(options: SwarmOptions) {
    this.#options = options;
    this.#startedMs = options.clock.nowMs();
  }

  async run(): Promise<SimulateVerdict> {
    const { pool, clock, signal } = this.#options;
    const stop = (): void => void pool.close();
    signal.addEventListener('abort', stop, { once: true });
    let report = clock.timer(reportEveryMs, () => undefined);
    const reportLater = (): void => {
      report.cancel();
      report = clock.timer(reportEveryMs, () => {
        this.#options.tell(this.#progress());
        reportLater();
      });
    };
    reportLater();
    try {
      await Promise.all(Array.from({ length: pool.size }, () => this.#work()));
      this.#endedMs = clock.nowMs();
      return this.#verdict(await this.#shrink());
    } finally {
      report.cancel();
      signal.removeEventListener('abort', stop);
    }
  }

  async #work(): Promise<void> {
    for (let seed = this.#nextSeed(); seed !== null; seed = this.#nextSeed()) {
      const result = await unlessStopped(this.#options.pool.run({ seed, schedule: null, shrinkRuns: 0, keepLog: false }));
      if (!result) {
        this.#stopped = true;
        return;
      }
      this.#virtualMs += result.virtualMs;
      this.#acknowledged += result.acknowledged;
      if (!result.failure) {
        this.#held += 1;
        continue;
      }
      this.#failures.push(result.failure);
      this.#options.tell(`seed ${String(seed)} broke ${result.failure.invariant}`);
    }
  }

  #nextSeed(): number | null {
    const { clock, signal, firstSeed, count, untilMs } = this.#options;
    if (this.#begun >= count || clock.nowMs() >= untilMs || this.#failures.length >= mostBroken) return null;
    if (signal.aborted) {
      this.#stopped = true;
      return null;
    }
    this.#begun += 1;
    return (firstSeed + this.#begun - 1) % seeds;
  }

  async #shrink(): Promise<readonly SwarmFailure[]> {
    const { pool, firstSeed, tell } = this.#options;
    const place = ({ seed }: SwarmFailure): number => ((seed ?? 0) - firstSeed + seeds) % seeds;
    const failures = this.#failures.toSorted((one, other) => place(one) - place(other));
    if (failures.length > 0) tell(`shrinking ${failures.length > mostShrunk ? `the first ${String(mostShrunk)}` : 'what broke'}`);
    const shrunk = failures.slice(0, mostShrunk).map(async (failure) => {
      // A run that never ended has no events, and would not end again.
      if (failure.lastEvents.length === 0) return failure;
      const { seed } = failure;
      const result = await unlessStopped(pool.run({ seed, schedule: null, shrinkRuns, keepLog: false }));
      return result?.failure?.shrunk ? result.failure : failure;
    });
    return [...(await Promise.all(shrunk)), ...failures.slice(mostShrunk)];
  }

  #progress(): string {
    return `${String(this.#held)} seeds held, ${String(this.#failures.length)} broken, ${this.#rate(this.#options.clock.nowMs())} seeds/s`;
  }

  #rate(nowMs: number): string {
    const elapsedMs = Math.max(1, nowMs - this.#startedMs);
    return (((this.#held + this.#failures.length) * msPerSecond) / elapsedMs).toFixed(1);
  }

  #verdict(failures: readonly SwarmFailure[]): SimulateVerdict {
    const held = this.#held;
    const virtualHours = this.#virtualMs / hourMs;
    const counts = `${String(held)} seeds held, ${String(failures.length)} broken, ${virtualHours.toFixed(1)} virtual hours`;
    return {
      passed: failures.length === 0 && !this.#stopped,
      stopped: this.#stopped,
      firstSeed: this.#options.firstSeed,
      held,
      failures,
      virtualMs: this.#virtualMs,
      acknowledged: this.#acknowledged,
      text: `${this.#stopped ? 'stopped: ' : ''}${counts}, ${String(this.#acknowledged)} requests acknowledged, ${this.#rate(this.#endedMs)} seeds/s`,
    };
  }
}

/** Null where the pool was closed first. */
export async function unlessStopped<Result>(running: Promise<Result>): Promise<Result | null> {
  try {
    return await running;
  } catch (error) {
    if (error instanceof HotMirrorError && error.code === 'HM_CLOSED') return null;
    throw error;
  }
}
