import { HotMirrorError } from '../errors.ts';
import type { Done } from './block-device.ts';

/**
 * Group commit: one `fdatasync` in flight, and everything that asks meanwhile joins the next. Nobody joins the one in flight,
 * because it may have passed what he wrote.
 *
 * A failure is final. The kernel reports a lost page once and then forgets it, so a later `fdatasync` that succeeds proves nothing.
 */
export class GroupCommit {
  readonly #sync: (done: Done) => void;
  #waiting: Done[] = [];
  #inFlight = false;
  #failure: HotMirrorError | null = null;
  readonly #onIdle: (() => void)[] = [];

  /** `sync` makes durable what is written now, and ends with one call of its `done`. */
  constructor(sync: (done: Done) => void) {
    this.#sync = sync;
  }

  /** Completes when everything written before this call is durable. */
  flush(done: Done): void {
    if (this.#failure) {
      done(repeated(this.#failure));
      return;
    }
    this.#waiting.push(done);
    if (!this.#inFlight) this.#start();
  }

  /** Resolves when nobody waits. */
  idle(): Promise<void> {
    if (!this.#inFlight) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #start(): void {
    const group = this.#waiting;
    this.#waiting = [];
    this.#inFlight = true;
    this.#sync((error) => {
      this.#inFlight = false;
      this.#failure ??= error;
      const abandoned = error ? this.#waiting.splice(0) : [];
      // The next group starts before the callers of this one run: their new flushes belong to the group after it.
      if (this.#waiting.length > 0) this.#start();
      for (const done of group) done(error);
      for (const done of abandoned) done(repeated(error));
      this.#tellIdle();
    });
  }

  #tellIdle(): void {
    if (this.#inFlight) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

function repeated(failure: HotMirrorError | null): HotMirrorError {
  return new HotMirrorError('HM_IO_FLUSH', 'an earlier flush failed, so nothing written since the last good one is known to be durable', {
    cause: failure,
  });
}
