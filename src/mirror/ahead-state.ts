/**
 * Whether this node completes requests without its target, which durably knows that it is behind (rule write.congested): from then on, and while the connection is
 * replaced by the one that brings the target back.
 */
export class AheadState {
  #active = false;
  /** The replacement that is under way. */
  #rejoining: object | null = null;

  get active(): boolean {
    return this.#active;
  }

  /** The target has recorded that it is behind. */
  begin(): void {
    this.#active = true;
  }

  /** The connection is about to be replaced. What is returned ends the wait for the next one, and tells whether that had not come. */
  rejoin(): () => boolean {
    const rejoining = (this.#rejoining = {});
    return () => {
      if (this.#rejoining !== rejoining) return false;
      this.end();
      return true;
    };
  }

  /** A connection has ended: it was this node that ended it, or all is as after any other loss. */
  lost(): void {
    if (this.#rejoining === null) this.end();
  }

  /** Together again, or no longer serving, or this wait is over. */
  end(): void {
    this.#active = false;
    this.#rejoining = null;
  }
}
