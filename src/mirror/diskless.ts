import type { HotMirrorError } from '../errors.ts';
import type { Request } from './request.ts';
import type { SourceSession } from './source.ts';
import type { StreamWork } from './stream-work.ts';

/** What going on through the peer needs of the serving side. */
export interface Detaching {
  readonly session: SourceSession;
  readonly work: StreamWork | null;
  /** The generation that the peer is to hold. */
  readonly generation: string;
  /** Why this node's element failed. */
  readonly error: HotMirrorError;
  /** Whether the elements are known to differ. */
  readonly differ: () => boolean;
  /** The peer durably holds the generation. */
  readonly confirmed: () => void;
  /** The elements turned out to differ: the peer's is not what was served. */
  readonly bereft: () => void;
}

/**
 * Service through the peer's element alone (rule write.error): this node's has failed. The peer durably holds a generation of its own before anything is completed that
 * the failed element lacks, so that this can never be taken for current.
 */
export class Diskless {
  #generation: string | null = null;
  #confirmed = false;
  #error: HotMirrorError | null = null;

  /** Nothing is read from or written to this node's element. */
  get active(): boolean {
    return this.#generation !== null;
  }

  /** The peer does not hold the generation durably yet, as far as is known here: nothing completes. */
  get waits(): boolean {
    return this.active && !this.#confirmed;
  }

  /** The generation that the peer durably holds; null while there is none. */
  get through(): string | null {
    return this.#confirmed ? this.#generation : null;
  }

  /** Why this node's element failed; once. */
  takeError(): HotMirrorError | null {
    const error = this.#error;
    this.#error = null;
    return error;
  }

  /** First the comparisons under way are answered, so that both nodes count what they find; then the peer is asked to hold everything alone. */
  begin({ session, work, generation, error, differ, confirmed, bereft }: Detaching): void {
    this.#generation = generation;
    this.#error = error;
    work?.detach(error);
    session.compares.allAnswered(() => {
      if (this.#generation !== generation) return;
      if (differ()) {
        bereft();
        return;
      }
      session.detach(generation, () => {
        if (this.#generation !== generation) return;
        this.#confirmed = true;
        confirmed();
      });
    });
  }

  /**
   * Completes what is over, in the order of issue alone: all that is not complete is sent again on a new connection, in that order, and must not lie on top of what is
   * complete, for no resync would mend that.
   */
  advance(issued: Iterable<Request>, complete: (request: Request) => void): void {
    if (!this.active || this.waits) return;
    for (const request of issued) {
      if (request.local > 0 || request.remote > 0) return;
      complete(request);
    }
  }

  /** Serving has ended. */
  end(): void {
    this.#generation = null;
    this.#confirmed = false;
    this.#error = null;
  }
}
