/** Former starts of the peer that are remembered, so that their leftovers are recognised. */
export const formerStartsKept = 16;

/** What something that arrived says of the peer's starts. */
export type Arrival = 'present' | 'new' | 'former';

/**
 * Which start of the peer is the present one, and whether it said goodbye. A start is known by its `run`, a random name. Sans-io.
 *
 * Names have no order, and links deliver when they like: the first token of a start that is over may come after those of its successor. So a new name is believed at once,
 * and corrected by proof: a start that answers what it was asked after another had shown itself, outlived that one.
 */
export class Presence {
  /** The present start of the peer; null before its first token. */
  run: string | null = null;
  /** It answered what it was asked after it had become the present one: it is no leftover of a start that is over. */
  proven = false;
  /** The present start said goodbye (rule `node.leave`). */
  left = false;
  /** When it did. */
  leftAtMs: number = -Infinity;
  /** Starts that were followed by another, and when that one showed itself. */
  readonly #former = new Map<string, number>();
  #sinceMs = -Infinity;

  /** A sign of life elsewhere, such as a data link: one that is later than the goodbye is of a new start, which no token has told of yet. */
  lives(atMs: number): void {
    if (atMs > this.leftAtMs) this.left = false;
  }

  /** A token of this start arrived at `nowMs`. */
  arrived(run: string, nowMs: number): Arrival {
    if (run === this.run) return 'present';
    if (this.#former.has(run)) return 'former';
    this.#become(run, nowMs);
    return 'new';
  }

  /** This start answered a token that was sent at `probeSentMs`. */
  answered(run: string, probeSentMs: number, nowMs: number): Arrival {
    if (run === this.run) {
      this.proven ||= probeSentMs > this.#sinceMs;
      return 'present';
    }
    const followedMs = this.#former.get(run) ?? Infinity;
    if (probeSentMs <= followedMs) return 'former';
    this.#become(run, nowMs);
    this.proven = true;
    return 'new';
  }

  #become(run: string, nowMs: number): void {
    this.#former.delete(run);
    if (this.run !== null) this.#former.set(this.run, nowMs);
    const [oldest] = this.#former.keys();
    if (oldest !== undefined && this.#former.size > formerStartsKept) this.#former.delete(oldest);
    this.run = run;
    this.#sinceMs = nowMs;
    this.proven = false;
    this.left = false;
  }
}
