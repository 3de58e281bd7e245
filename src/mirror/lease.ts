import type { Clock } from '../clock/clock.ts';

/** A difference between wall and monotonic time above this counts as a pause of the machine, however long the deadline is. */
const clockJumpMs = 500;
/**
 * A pause that is not noticed makes the lease longer by as much, and it must not outlast the deadline of the peer: of the time between the two this part may
 * pass unnoticed before a renewal, and again after it; the rest is for the drift of both clocks.
 */
const unnoticedShare = 1 / 3;

/**
 * Evidence that this node still owns what it serves (rule serve.lease): an authenticated answer of the peer to a probe sent less than `leaseMs` ago.
 * It counts from *sending* the probe, so it ends before the peer, which counts from *hearing* it, may take over.
 */
export class Lease {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #jumpMs: number;
  #untilMs = -Infinity;
  #notBeforeMs = -Infinity;
  #wallOffsetMs: number;

  /** `deadlineMs` is that of the peer, after which it may take over. */
  constructor(clock: Clock, leaseMs: number, deadlineMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.#jumpMs = Math.min(clockJumpMs, (deadlineMs - leaseMs) * unnoticedShare);
    this.#wallOffsetMs = clock.wallMs() - clock.nowMs();
  }

  /** The peer answered a probe that was sent then. Returns whether that made the lease longer. */
  renew(probeSentMs: number): boolean {
    this.#noticeJump();
    const untilMs = probeSentMs + this.#leaseMs;
    if (probeSentMs < this.#notBeforeMs || untilMs <= this.#untilMs) return false;
    this.#untilMs = untilMs;
    this.#wallOffsetMs = this.#clock.wallMs() - this.#clock.nowMs();
    return true;
  }

  /** Whether replies may be sent now. */
  valid(): boolean {
    this.#noticeJump();
    return this.#clock.nowMs() < this.#untilMs;
  }

  /** When it ends unless renewed. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** The machine may have been suspended: what was probed before then proves nothing. */
  #noticeJump(): void {
    const nowMs = this.#clock.nowMs();
    const wallOffsetMs = this.#clock.wallMs() - nowMs;
    if (Math.abs(wallOffsetMs - this.#wallOffsetMs) <= this.#jumpMs) return;
    this.#untilMs = -Infinity;
    this.#notBeforeMs = nowMs;
    this.#wallOffsetMs = wallOffsetMs;
  }
}
