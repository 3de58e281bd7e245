import type { Clock, Timer } from '../../clock/clock.ts';
import type { VirtualClock } from '../virtual-clock.ts';

const partsPerMillion = 1e6;
const roundingMs = 1e-6;

/**
 * The clock of one process: it runs at its own rate, and fires nothing while the process stands still, or ever after its death. While the machine is suspended
 * it stands still too, and the wall time goes on.
 */
export class NodeClock implements Clock {
  dead = false;
  readonly #base: VirtualClock;
  readonly #label: string;
  readonly #held: (() => void)[] = [];
  #paused = false;
  /** When the machine was suspended, by the world's time; null while it is not. */
  #suspendedAtMs: number | null = null;
  /** How long it was so far. */
  #suspendedMs = 0;
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
    const baseMs = this.#suspendedAtMs ?? this.#base.nowMs();
    // Without drift no rounding either: a timer must never find itself before its time.
    if (this.#rate === 1) return baseMs + (this.#readingMs - this.#sinceMs);
    return this.#readingMs + (baseMs - this.#sinceMs) * this.#rate;
  }

  wallMs(): number {
    return this.#base.wallMs() + this.#wallOffsetMs;
  }

  /** From now on it runs at this rate; timers that were set keep theirs. */
  drift(driftPpm: number): void {
    this.#countFrom(this.nowMs());
    this.#rate = 1 + driftPpm / partsPerMillion;
  }

  /** Moves the wall time against the monotonic one. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  timer(delayMs: number, fire: () => void): Timer {
    let cancelled = false;
    let suspendedMs = this.#suspendedMs;
    const worldDelayMs = this.#worldDelayMs(delayMs);
    let dueMs = (this.#suspendedAtMs ?? this.#base.nowMs()) + worldDelayMs;
    const run = (): void => {
      if (this.dead || cancelled) return;
      if (this.#paused) {
        this.#held.push(run);
        return;
      }
      dueMs += this.#suspendedMs - suspendedMs;
      suspendedMs = this.#suspendedMs;
      const leftMs = dueMs - this.#base.nowMs();
      if (leftMs > 0) timer = this.#base.timer(leftMs + roundingMs, run, this.#label);
      else fire();
    };
    let timer = this.#base.timer(worldDelayMs, run, this.#label);
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  #countFrom(readingMs: number): void {
    this.#readingMs = readingMs;
    this.#sinceMs = this.#suspendedAtMs ?? this.#base.nowMs();
  }

  /** Rounded up, so that its own time has passed for sure. */
  #worldDelayMs(delayMs: number): number {
    if (!(delayMs > 0)) return 0;
    return this.#rate === 1 ? delayMs : delayMs / this.#rate + roundingMs;
  }

  /** The process hears something: at once, or when it no longer stands still, in turn with its timers. */
  hear(told: () => void): void {
    if (this.#paused) this.#held.push(() => this.hear(told));
    else told();
  }

  /** The process stands still; `suspended`: its machine does. */
  pause(suspended = false): void {
    if (suspended) this.#suspendedAtMs ??= this.#base.nowMs();
    this.#paused = true;
  }

  /** What came due meanwhile fires now, late. */
  resume(): void {
    if (this.#suspendedAtMs !== null) {
      const readingMs = this.nowMs();
      this.#suspendedMs += this.#base.nowMs() - this.#suspendedAtMs;
      this.#suspendedAtMs = null;
      this.#countFrom(readingMs);
    }
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
