import type { Clock } from '../clock/clock.ts';

/** How fast a resync or verify may go while the application writes. */
export interface ResyncRateLimits {
  /** Never slower than this, so that it ends whatever the application does (rule resync.progress). */
  readonly minBytesPerSecond: number;
  /** Never faster than this, application or not; null: as fast as it goes. */
  readonly maxBytesPerSecond: number | null;
  /** The mean latency of application writes, from sending to acknowledgement, above which it slows down. */
  readonly latencyTargetMs: number;
}

/** 4 MiB a second at least, no bound above, 20 ms. */
export const defaultResyncRate: ResyncRateLimits = Object.freeze({
  minBytesPerSecond: 4_194_304,
  maxBytesPerSecond: null,
  latencyTargetMs: 20,
});

/** What the application did to the data link lately. */
export interface ApplicationLoad {
  /** It writes, or wrote a moment ago. */
  readonly busy: boolean;
  /** How long its writes took since the last decision, or how long the oldest has waited where none ended; null: nothing is known. */
  readonly latencyMs: number | null;
}

/** Between two decisions. */
const decideEveryMs = 100;
/** Without a write for this long the application is idle. */
const idleAfterMs = 500;
/** Less by this where the application waits for too long. */
const slowdown = 0.5;
/** More by this where it does not. */
const speedup = 1.25;
/** One piece is as much as passes in this time, so that the application never waits long behind one. */
const pieceMs = 50;
/** A shorter wait is none; what it comes to is waited for later. */
const shortestWaitMs = 1;
const msPerSecond = 1_000;

/**
 * The rate that follows a rate: without an application all there is, with one first the least, then more step by step while its writes are fast,
 * and half as soon as they are not. Pure.
 */
export function nextRate(bytesPerSecond: number, load: ApplicationLoad, limits: ResyncRateLimits): number {
  const most = Math.max(limits.maxBytesPerSecond ?? Infinity, limits.minBytesPerSecond);
  if (!load.busy) return most;
  if (bytesPerSecond === Infinity) return limits.minBytesPerSecond;
  const factor = load.latencyMs === null ? 1 : load.latencyMs > limits.latencyTargetMs ? slowdown : speedup;
  return Math.min(most, Math.max(limits.minBytesPerSecond, bytesPerSecond * factor));
}

/** Throws `RangeError` on limits that make no sense. */
export function checkedRate(limits: ResyncRateLimits): ResyncRateLimits {
  for (const [name, value] of Object.entries(limits)) {
    if (value === null && name === 'maxBytesPerSecond') continue;
    if (!(typeof value === 'number' && value > 0 && Number.isFinite(value))) throw new RangeError(`resync.${name} must be above 0`);
  }
  const { minBytesPerSecond, maxBytesPerSecond } = limits;
  if (maxBytesPerSecond !== null && maxBytesPerSecond < minBytesPerSecond) {
    throw new RangeError('resync.maxBytesPerSecond must be at least minBytesPerSecond');
  }
  return limits;
}

/**
 * Lets a resync or verify give way to the application (rule resync.progress): it measures how long the application's writes take on the data link and
 * says when the next piece may be sent, and how large it is to be.
 */
export class ResyncRate {
  readonly #clock: Clock;
  #limits: ResyncRateLimits;
  #bytesPerSecond = Infinity;
  #decidedMs = -Infinity;
  /** When the next piece may go. */
  #nextMs = -Infinity;
  #outstanding = 0;
  #lastWriteMs = -Infinity;
  /** Since when writes have been outstanding without any being acknowledged. */
  #waitingMs = 0;
  #latencySumMs = 0;
  #latencies = 0;

  /** Throws `RangeError` on limits that make no sense. */
  constructor(clock: Clock, limits: ResyncRateLimits) {
    this.#clock = clock;
    this.#limits = checkedRate(limits);
  }

  get limits(): ResyncRateLimits {
    return this.#limits;
  }

  /** Changes the limits, also while it runs. Throws `RangeError` on some that make no sense. */
  set limits(limits: ResyncRateLimits) {
    this.#limits = checkedRate(limits);
    this.#decidedMs = -Infinity;
    this.#nextMs = -Infinity;
  }

  /** The application writes, whoever is connected. */
  wrote(): void {
    this.#lastWriteMs = this.#clock.nowMs();
  }

  /** A write of the application goes out; returns when, for {@link ResyncRate.writeEnded}. */
  writeBegan(): number {
    const nowMs = this.#clock.nowMs();
    if (this.#outstanding === 0) this.#waitingMs = nowMs;
    this.#outstanding += 1;
    return nowMs;
  }

  /** A write of the application that went out then was acknowledged. */
  writeEnded(beganMs: number): void {
    const nowMs = this.#clock.nowMs();
    this.#outstanding -= 1;
    this.#waitingMs = nowMs;
    this.#latencySumMs += nowMs - beganMs;
    this.#latencies += 1;
  }

  /** The connection is lost: nothing is outstanding any more. */
  connectionLost(): void {
    this.#outstanding = 0;
    this.#latencySumMs = 0;
    this.#latencies = 0;
  }

  /** How long the next piece must wait; 0: not at all. */
  waitMs(): number {
    this.#decide();
    const waitMs = this.#nextMs - this.#clock.nowMs();
    return waitMs < shortestWaitMs ? 0 : waitMs;
  }

  /** How large the next piece is to be: whole extents, at most so many. */
  extents(extentBytes: number, most: number): number {
    const bytes = (this.#bytesPerSecond * pieceMs) / msPerSecond;
    return Math.max(1, Math.min(most, Math.floor(bytes / extentBytes)));
  }

  /** A piece of so many bytes went out. */
  sent(lengthBytes: number): void {
    this.#nextMs = Math.max(this.#nextMs, this.#clock.nowMs()) + (lengthBytes / this.#bytesPerSecond) * msPerSecond;
  }

  #decide(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#decidedMs < decideEveryMs) return;
    const busy = this.#outstanding > 0 || nowMs - this.#lastWriteMs < idleAfterMs;
    const waited = this.#outstanding > 0 ? nowMs - this.#waitingMs : null;
    const latencyMs = this.#latencies > 0 ? this.#latencySumMs / this.#latencies : waited;
    this.#bytesPerSecond = nextRate(this.#bytesPerSecond, { busy, latencyMs }, this.#limits);
    this.#decidedMs = nowMs;
    this.#latencySumMs = 0;
    this.#latencies = 0;
  }
}
