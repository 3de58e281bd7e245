import type { Clock, Timer } from '../clock/clock.ts';
import { within } from '../clock/within.ts';

/**
 * What ended connections have left with the device of a target. No handshake is possible before it is through; where that takes longer than a deadline the
 * device hangs, and the data link stays away until it is done, so that the source sees that nobody is there in place of a handshake without end.
 */
export class Leftovers {
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #hangs: () => void;
  #ending: Promise<void> = Promise.resolve();
  #count = 0;
  #deadline: Timer | null = null;
  #heldBack: (() => void) | null = null;

  /** `hangs` is called when something is left for longer than the deadline. */
  constructor(clock: Clock, deadlineMs: number, hangs: () => void) {
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#hangs = hangs;
  }

  /** Something is left until this resolves. */
  add(left: Promise<void>): void {
    this.#count += 1;
    this.#deadline ??= this.#clock.timer(this.#deadlineMs, () => {
      if (this.#count > 0) this.#hangs();
    });
    this.#ending = Promise.all([this.#ending, left]).then(() => {
      this.#count -= 1;
      if (this.#count > 0) return;
      this.#deadline?.cancel();
      this.#deadline = null;
      const resume = this.#heldBack;
      this.#heldBack = null;
      resume?.();
    });
  }

  /** Resolves when nothing is left of what there is now. */
  gone(): Promise<void> {
    return this.#ending;
  }

  /** As {@link Leftovers.gone}. Rejects with `HM_REFUSED` when that takes longer: an order must not wait for a device that hangs, nor others behind it. */
  goneWithin(deadlineMs: number): Promise<void> {
    const what = 'what the device still has of an earlier connection or service';
    return within(this.#clock, { deadlineMs, code: 'HM_REFUSED', rule: 'takeover.seal', what }, () => this.#ending);
  }

  /** While something is left: true, and `resume` is called when it is through. */
  holdBack(resume: () => void): boolean {
    if (this.#count === 0) return false;
    this.#heldBack = resume;
    return true;
  }

  /** Nobody waits to resume any more. */
  forget(): void {
    this.#heldBack = null;
  }
}
