import type { Done } from '../device/block-device.ts';
import { HotMirrorError } from '../errors.ts';
import type { Counters } from './counters.ts';

/** What admission is made of. */
export interface AdmissionOptions {
  readonly counters: Pick<Counters, 'refusedRequests'>;
  /** Requests that may be inside at once. */
  readonly queuedRequests: number;
  /** Requests that are inside. */
  readonly inside: () => number;
}

/** Which requests are taken in, and who waits until none is left inside. */
export class Admission {
  readonly #options: AdmissionOptions;
  #open = false;
  #waiting: ((drained: boolean) => void)[] = [];

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Requests are taken in from now on. */
  open(): void {
    this.#open = true;
  }

  /** No more, and nobody waits any longer for the end of those inside. */
  close(): void {
    this.#open = false;
    this.#tell(false);
  }

  /** No more; resolves true when none is left inside, false when that can no longer be waited for. */
  drain(): Promise<boolean> {
    this.#open = false;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.left();
    });
  }

  /** A request has left. */
  left(): void {
    if (this.#waiting.length > 0 && this.#options.inside() === 0) this.#tell(true);
  }

  /** What is inside may not come to its end: where somebody waits for that, requests are taken in again. */
  giveUp(): void {
    if (this.#waiting.length === 0) return;
    this.#open = true;
    this.#tell(false);
  }

  /** Whether a request may come in; where not, it is told so. */
  admit(done: Done): boolean {
    const { counters, queuedRequests, inside } = this.#options;
    if (!this.#open) done(new HotMirrorError('HM_NOT_SERVING', 'this node does not serve the mirror'));
    else if (inside() >= queuedRequests) done(new HotMirrorError('HM_BUSY', `${String(inside())} requests wait`));
    else return true;
    counters.refusedRequests += 1;
    return false;
  }

  #tell(drained: boolean): void {
    for (const resolve of this.#waiting.splice(0)) resolve(drained);
  }
}
