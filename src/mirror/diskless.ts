import type { HotMirrorError } from '../errors.ts';
import type { Request } from './request.ts';

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

  begin(generation: string, error: HotMirrorError): void {
    this.#generation = generation;
    this.#error = error;
  }

  /** The peer durably holds the generation. */
  confirm(): void {
    this.#confirmed = true;
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
