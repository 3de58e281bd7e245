import type { Clock, Timer } from '../clock/clock.ts';
import { microtasksDone, systemClock } from '../clock/system-clock.ts';
import { TimerQueue } from './timer-queue.ts';
import type { WaitingTimer } from './timer-queue.ts';

export type { WaitingTimer } from './timer-queue.ts';

/** What a {@link VirtualClock} is made of. */
export interface VirtualClockOptions {
  /** Monotonic time at the start, in ms. Default 0. */
  readonly startMs?: number;
  /** Wall time at the start, in ms since 1970. Default 1,000,000,000,000. */
  readonly wallStartMs?: number;
  /**
   * What runs to its end between two timers. `turns` (default): also what comes from outside, such as files, for two turns of the event loop. `promises`:
   * promises alone, many times faster, for worlds in which nothing comes from outside.
   */
  readonly settles?: 'turns' | 'promises';
  /** Called after each timer, once everything that was ready has run. What it throws ends the run of time. */
  readonly afterEvent?: () => void;
}

const wallStartMs = 1_000_000_000_000;
/** A world that waits for nothing outside lets the process have a turn this often, so that signals get in. */
const timersPerTurn = 4_096;

/** Whoever sets a timer of 0 for ever would keep time from moving. */
const timersPerInstant = 20_000;

/**
 * Time that moves only when told. Timers fire in the order of their due time, then in the order they were set;
 * between two of them everything that is ready to run (promises, callbacks) runs to its end.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  #fired = 0;
  #atThisInstant = 0;
  readonly #settles: 'turns' | 'promises';
  readonly #afterEvent: () => void;
  readonly #queue = new TimerQueue();

  constructor(options: VirtualClockOptions = {}) {
    this.#nowMs = options.startMs ?? 0;
    this.#wallOffsetMs = (options.wallStartMs ?? wallStartMs) - this.#nowMs;
    this.#settles = options.settles ?? 'turns';
    this.#afterEvent = options.afterEvent ?? (() => undefined);
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

  /** As `Clock` says; the label tells whose timer it is, to whoever looks at {@link VirtualClock.waiting}. */
  timer(delayMs: number, fire: () => void, label = ''): Timer {
    const timer = this.#queue.add(this.#nowMs + Math.max(0, delayMs || 0), fire, label);
    return { cancel: () => this.#queue.remove(timer) };
  }

  drain(): Promise<void> {
    return this.settle();
  }

  /** Timers that wait. */
  get pendingTimers(): number {
    return this.#queue.size;
  }

  /** The timers that wait, in the order they would fire. */
  waiting(): readonly WaitingTimer[] {
    return this.#queue.sorted();
  }

  /** Fires one timer now, or at its time if that lies ahead, out of turn if need be; then lets everything that is ready run. */
  async fire(timer: WaitingTimer): Promise<void> {
    await this.#next(timer);
  }

  /** Lets everything that is ready run, without moving time. */
  settle(): Promise<void> {
    return this.#settles === 'turns' ? systemClock.drain() : microtasksDone();
  }

  /** Moves time by `byMs`, firing what falls due on the way. */
  async runFor(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await this.settle();
    for (let next = this.#queue.first(); next && next.dueMs <= untilMs; next = this.#queue.first()) {
      await this.#next(next);
    }
    this.#nowMs = untilMs;
  }

  /** Moves time until `condition` holds. Throws when it does not within `withinMs` of virtual time. */
  async until(condition: () => boolean, withinMs: number, what = 'the condition'): Promise<void> {
    const limitMs = this.#nowMs + withinMs;
    await this.settle();
    while (!condition()) {
      const next = this.#queue.first();
      if (!next || next.dueMs > limitMs) throw new Error(`${what} did not hold within ${String(withinMs)} ms of virtual time`);
      await this.#next(next);
    }
  }

  /** Moves time to the next timer and fires it. False where none falls due by `untilMs`; time is then that. */
  async runNext(untilMs: number): Promise<boolean> {
    const next = this.#queue.first();
    if (next && next.dueMs <= untilMs) {
      await this.#next(next);
      return true;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
    return false;
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

  async #next(timer: WaitingTimer): Promise<void> {
    this.#queue.remove(timer);
    this.#pass(timer.dueMs);
    timer.fire();
    this.#fired += 1;
    await (this.#fired % timersPerTurn === 0 ? systemClock.drain() : this.settle());
    this.#afterEvent();
  }

  #pass(untilMs: number): void {
    this.#atThisInstant = untilMs > this.#nowMs ? 0 : this.#atThisInstant + 1;
    if (this.#atThisInstant > timersPerInstant)
      throw new Error(`time stands still at ${String(this.#nowMs)} ms: more than ${String(timersPerInstant)} timers were due at once`);
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }
}
