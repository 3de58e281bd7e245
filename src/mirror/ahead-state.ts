import type { Clock, Timer } from '../clock/clock.ts';

/**
 * Whether this node completes requests without its target, which durably knows that it is behind (rule write.congested): from then on, and while the connection is
 * replaced by the one that brings the target back.
 */
export class AheadState {
  #active = false;
  /** Set while a connection is being replaced. */
  #rejoining: Timer | null = null;

  get active(): boolean {
    return this.#active;
  }

  /** The target has recorded that it is behind. */
  begin(): void {
    this.#active = true;
  }

  /** The connection is about to be replaced. `apart` is called where the next one does not come in time. */
  rejoin(clock: Clock, deadlineMs: number, apart: () => void): void {
    this.#rejoining?.cancel();
    this.#rejoining = clock.timer(deadlineMs, () => {
      this.end();
      apart();
    });
  }

  /** A connection has ended: it was this node that ended it, or all is as after any other loss. */
  lost(): void {
    if (this.#rejoining === null) this.end();
  }

  /** Together again, or no longer serving, or nothing is waited for any more. */
  end(): void {
    this.#active = false;
    this.#rejoining?.cancel();
    this.#rejoining = null;
  }
}
