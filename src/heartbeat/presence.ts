/** Former starts of the peer that are remembered, so that their leftovers are recognised. */
const formerRunsKept = 16;

/** Which start of the peer is the present one, and whether it said goodbye. A start is known by its `run`, a random name. Sans-io. */
export class Presence {
  /** The present start of the peer; null before its first token. */
  run: string | null = null;
  /** The present start said goodbye (rule `node.leave`). */
  left = false;
  /** When it did. */
  leftAtMs: number = -Infinity;
  readonly #former: string[] = [];

  /** A sign of life elsewhere, such as a data link: one that is later than the goodbye is of a new start, which no token has told of yet. */
  lives(atMs: number): void {
    if (atMs > this.leftAtMs) this.left = false;
  }

  /** A token, or a goodbye, of this start arrived: `former` is to be ignored. */
  arrived(run: string): 'present' | 'new' | 'former' {
    if (run === this.run) return 'present';
    if (this.#former.includes(run)) return 'former';
    if (this.run !== null) this.#former.push(this.run);
    if (this.#former.length > formerRunsKept) this.#former.shift();
    this.run = run;
    this.left = false;
    return 'new';
  }
}
