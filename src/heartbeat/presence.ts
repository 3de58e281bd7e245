/** Former starts of the peer that are remembered, so that their leftovers are recognised. */
const formerRunsKept = 16;

/** Which start of the peer is the present one, and whether it said goodbye. A start is known by its `run`, a random name. Sans-io. */
export class Presence {
  /** The present start of the peer; null before its first token. */
  run: string | null = null;
  /** The present start said goodbye (rule `node.leave`). */
  left = false;
  readonly #former: string[] = [];

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
