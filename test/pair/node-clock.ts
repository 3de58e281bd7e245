import type { Clock, Timer } from '../../src/clock/clock.ts';
import type { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** The clock of one machine: it stops firing when the machine pauses or dies, while time goes on for the others. */
export class NodeClock implements Clock {
  dead = false;
  paused = false;
  readonly #base: VirtualClock;
  readonly #held: (() => void)[] = [];

  constructor(base: VirtualClock) {
    this.#base = base;
  }

  nowMs(): number {
    return this.#base.nowMs();
  }

  wallMs(): number {
    return this.#base.wallMs();
  }

  timer(delayMs: number, fire: () => void): Timer {
    let cancelled = false;
    const run = (): void => {
      if (this.dead || cancelled) return;
      if (this.paused) this.#held.push(run);
      else fire();
    };
    const timer = this.#base.timer(delayMs, run);
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** What came due during the pause fires now, late. */
  resume(): void {
    this.paused = false;
    for (const run of this.#held.splice(0)) this.#base.timer(0, run);
  }

  async drain(): Promise<void> {
    for (let turn = 0; turn < 2; turn += 1) {
      await new Promise<void>((resolve) => {
        this.timer(0, resolve);
      });
    }
    await this.#base.drain();
  }
}
