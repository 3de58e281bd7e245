import type { Clock } from '../clock/clock.ts';

/** A goodbye and the wait for its answer, at most a deadline (rule node.leave). */
export class Goodbye {
  #answered: (() => void) | null = null;

  /** Says it; resolves when it is answered, or late. */
  async say(clock: Clock, deadlineMs: number, send: () => void): Promise<void> {
    await new Promise<void>((resolve) => {
      const deadline = clock.timer(deadlineMs, resolve);
      this.#answered = () => {
        deadline.cancel();
        resolve();
      };
      send();
    });
    this.#answered = null;
  }

  /** The peer has noted it, or the connection is gone. */
  answered(): void {
    this.#answered?.();
  }
}
