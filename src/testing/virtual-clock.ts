import type { Clock, Timer } from '../clock/clock.ts';
import { systemClock } from '../clock/system-clock.ts';

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/**
 * Time that moves only when told. Timers fire in the order of their due time, then in the order they were set;
 * between two of them everything that is ready to run (promises, callbacks) runs to its end.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  /** Starts at `startMs` monotonic and `wallStartMs` wall time. */
  constructor(startMs = 0, wallStartMs = 1_000_000_000_000) {
    this.#nowMs = startMs;
    this.#wallOffsetMs = wallStartMs - startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  /** Moves the wall time against the monotonic one, as a suspended machine or an operator would. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  timer(delayMs: number, fire: () => void): Timer {
    const pending: Pending = { dueMs: this.#nowMs + Math.max(0, delayMs || 0), order: this.#order++, fire };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  drain(): Promise<void> {
    return systemClock.drain();
  }

  /** Timers that wait. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  /** Lets everything that is ready run, without moving time. */
  settle(): Promise<void> {
    return systemClock.drain();
  }

  /** Moves time by `byMs`, firing what falls due on the way. */
  async runFor(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await this.settle();
    for (let next = this.#earliest(); next && next.dueMs <= untilMs; next = this.#earliest()) {
      this.#fire(next);
      await this.settle();
    }
    this.#nowMs = untilMs;
  }

  /** Moves time until `condition` holds. Throws when it does not within `withinMs` of virtual time. */
  async until(condition: () => boolean, withinMs: number, what = 'the condition'): Promise<void> {
    const limitMs = this.#nowMs + withinMs;
    await this.settle();
    while (!condition()) {
      const next = this.#earliest();
      if (!next || next.dueMs > limitMs) throw new Error(`${what} did not hold within ${String(withinMs)} ms of virtual time`);
      this.#fire(next);
      await this.settle();
    }
  }

  /** Moves time until `promise` settles, and gives its outcome. */
  async settled<T>(promise: Promise<T>, withinMs: number, what = 'the promise'): Promise<T> {
    let done = false;
    const mark = (): void => void (done = true);
    promise.then(mark, mark);
    await this.until(() => done, withinMs, what);
    return promise;
  }

  /** The process stood still: time has passed, and everything due fires late, as after SIGSTOP. */
  async sleepThrough(byMs: number): Promise<void> {
    this.#nowMs += byMs;
    await this.runFor(0);
  }

  #earliest(): Pending | undefined {
    let earliest: Pending | undefined;
    for (const pending of this.#pending) {
      if (!earliest || pending.dueMs < earliest.dueMs || (pending.dueMs === earliest.dueMs && pending.order < earliest.order))
        earliest = pending;
    }
    return earliest;
  }

  #fire(pending: Pending): void {
    this.#pending.delete(pending);
    this.#nowMs = Math.max(this.#nowMs, pending.dueMs);
    pending.fire();
  }
}
