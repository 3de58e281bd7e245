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
  /** Whether the failure is durable here: until then a start of this node would take its element for good. */
  readonly recorded: Promise<boolean>;
  /** Whether the elements are known to differ. */
  readonly differ: () => boolean;
  /** The peer durably holds the generation. */
  readonly confirmed: () => void;
  /** It cannot go on through the peer, and why not. */
  readonly bereft: (because: string) => void;
}

/**
 * Service through the peer's element alone (rule write.error): this node's has failed. The peer durably holds a generation of its own before anything is completed that
 * the failed element lacks, so that this can never be taken for current.
 */
export class Diskless {
  #generation: string | null = null;
  #confirmed = false;
  #error: HotMirrorError | null = null;
  #rested: string | null = null;

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

  /**
   * First the comparisons under way are answered, so that both nodes count what they find, and the failure is durable here; then the peer is asked to hold everything alone.
   * The other way round a crash would leave two elements that both pass for good, under two generations.
   */
  begin({ session, work, generation, error, recorded, differ, confirmed, bereft }: Detaching): void {
    this.#generation = generation;
    this.#error = error;
    work?.detach(error);
    const ask = (durable: boolean): void => {
      if (this.#generation !== generation) return;
      if (!durable || differ()) {
        bereft(durable ? 'the elements differ' : 'it could not be recorded that the element of this node failed');
        return;
      }
      session.detach(generation, () => {
        if (this.#generation !== generation) return;
        this.#confirmed = true;
        confirmed();
      });
    };
    session.compares.allAnswered(() => void recorded.then(ask));
  }

  /**
   * Completes what is over, in the order of issue alone: all that is not complete is sent again on a new connection, in that order, and must not lie on top of what is
   * complete, for no resync would mend that. What the failed device still has is not waited for.
   */
  advance(issued: Iterable<Request>, complete: (request: Request) => void): void {
    if (!this.active || this.waits) return;
    for (const request of issued) {
      if (request.remote > 0) return;
      complete(request);
    }
  }

  /** Serving ends, for the peer is to take it over. Should it not, {@link Diskless.resume} undoes this while the connection lasts. */
  rest(): void {
    const [generation, error] = [this.through, this.#error];
    this.end();
    this.#rested = generation;
    this.#error = error;
  }

  /** What was served through the peer until it was to take over. */
  get rested(): boolean {
    return this.#rested !== null;
  }

  /** The peer did not take over. */
  resume(): void {
    this.#generation = this.#rested;
    this.#confirmed = this.active;
    this.#rested = null;
  }

  /** Serving has ended. */
  end(): void {
    this.#rested = null;
    this.#generation = null;
    this.#confirmed = false;
    this.#error = null;
  }
}
