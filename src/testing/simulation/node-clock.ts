import type { Clock, Timer } from '../../clock/clock.ts';
import type { VirtualClock } from '../virtual-clock.ts';

const partsPerMillion = 1e6;
const roundingMs = 1e-6;

/** The clock of one process: it runs at its own rate, and fires nothing while the process stands still, or ever after its death. */
export class NodeClock implements Clock {
  dead = false;
  readonly #base: VirtualClock;
  readonly #label: string;
  readonly #held: (() => void)[] = [];
  #paused = false;
  /** The rate against the world's time, and where it began to count. */
  #rate: number;
  #sinceMs: number;
  #readingMs: number;
  #wallOffsetMs = 0;

  /** Starts at the world's time. */
  constructor(base: VirtualClock, label: string, driftPpm = 0) {
    this.#base = base;
    this.#label = label;
    this.#rate = 1 + driftPpm / partsPerMillion;
    this.#sinceMs = base.nowMs();
    this.#readingMs = this.#sinceMs;
  }

  get paused(): boolean {
    return this.#paused;
  }

  nowMs(): number {
    // Without drift no rounding either: a timer must never find itself before its time.
    if (this.#rate === 1) return this.#base.nowMs() + (this.#readingMs - this.#sinceMs);
    return this.#readingMs + (this.#base.nowMs() - this.#sinceMs) * this.#rate;
  }

  wallMs(): number {
    return this.#base.wallMs() + this.#wallOffsetMs;
  }

  /** From now on it runs at this rate; timers that were set keep theirs. */
  drift(driftPpm: number): void {
    this.#readingMs = this.nowMs();
    this.#sinceMs = this.#base.nowMs();
    this.#rate = 1 + driftPpm / partsPerMillion;
  }

  /** Moves the wall time against the monotonic one. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  timer(delayMs: number, fire: () => void): Timer {
    let cancelled = false;
    const run = (): void => {
      if (this.dead || cancelled) return;
      if (this.#paused) this.#held.push(run);
      else fire();
    };
    const timer = this.#base.timer(this.#worldDelayMs(delayMs), run, this.#label);
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** Rounded up, so that its own time has passed for sure. */
  #worldDelayMs(delayMs: number): number {
    if (!(delayMs > 0)) return 0;
    return this.#rate === 1 ? delayMs : delayMs / this.#rate + roundingMs;
  }

  pause(): void {
    this.#paused = true;
  }

  /** What came due meanwhile fires now, late. */
  resume(): void {
    this.#paused = false;
    for (const run of this.#held.splice(0)) this.#base.timer(0, run, this.#label);
  }

  /** Two turns by its own timers, so that a process that stands still does not get on. */
  async drain(): Promise<void> {
    for (let turn = 0; turn < 2; turn += 1) {
      await new Promise<void>((resolve) => {
        this.timer(0, resolve);
      });
    }
  }
}
