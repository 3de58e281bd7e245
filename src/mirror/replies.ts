import type { Done } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import type { CountedRequest, Counters } from './counters.ts';

/** A request that has come to its answer. */
export interface AnsweredRequest extends CountedRequest {
  readonly done: Done;
}

/** What replies depend on. */
export interface RepliesOptions {
  readonly counters: Counters;
  /** There is evidence that this node still owns what it serves. */
  readonly owns: () => boolean;
  /** One answer less may be to come. */
  readonly answered: () => void;
}

/**
 * The answers to the application (rule serve.lease): one goes out only with evidence of ownership, or as an error; else it waits.
 */
export class Replies {
  readonly #options: RepliesOptions;
  /** Complete, but not to be told yet. */
  #parked: AnsweredRequest[] = [];

  constructor(options: RepliesOptions) {
    this.#options = options;
  }

  /** Whether an answer may go out now. */
  get owns(): boolean {
    return this.#options.owns();
  }

  /** Answers that wait. */
  get inside(): number {
    return this.#parked.length;
  }

  /** Answers a request now, or lets the answer wait for evidence. */
  reply(request: AnsweredRequest, error: HotMirrorError | null): void {
    if (error || this.#options.owns()) this.#tell(request, error);
    else this.#parked.push(request);
    this.#options.answered();
  }

  /** There may be evidence now. */
  release(): void {
    if (this.#parked.length === 0 || !this.#options.owns()) return;
    for (const request of this.#parked.splice(0)) this.#tell(request, null);
    this.#options.answered();
  }

  /** These fail with this error, and so do all answers that wait. */
  fail(requests: readonly AnsweredRequest[], error: HotMirrorError): void {
    for (const request of [...requests, ...this.#parked.splice(0)]) this.#tell(request, error);
  }

  #tell(request: AnsweredRequest, error: HotMirrorError | null): void {
    this.#options.counters.finished(request, error !== null);
    request.done(error);
  }
}
