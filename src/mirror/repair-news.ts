import type { Clock } from '../clock/clock.ts';
import type { Announcer } from './announcer.ts';

/** A disk that can no longer be read is told of once in this time, however much is read. */
const everyMs = 1_000;

/** Tells of blocks that were read from the peer and written back: of the first at once, of the others now and then. */
export class RepairNews {
  readonly #announcer: Announcer;
  readonly #clock: Clock;
  #toldMs = -Infinity;
  #untold = 0;

  constructor(announcer: Announcer, clock: Clock) {
    this.#announcer = announcer;
    this.#clock = clock;
  }

  /** A range is readable again. */
  repaired(offsetBytes: number, lengthBytes: number): void {
    this.#untold += 1;
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#toldMs < everyMs) return;
    this.#toldMs = nowMs;
    const repairs = this.#untold;
    this.#untold = 0;
    const range = `${String(lengthBytes)} bytes at ${String(offsetBytes)}`;
    this.#announcer.emit('block:repaired', 1, `${range} could not be read here; the peer's bytes were used and written back`, {
      rule: 'write.error',
      evidence: { offsetBytes, lengthBytes, repairs },
    });
  }
}
