/**
 * Time, as every class of hotmirror takes it. The system implementation is in `system-clock.ts`; the virtual one in `hotmirror/testing`.
 *
 * Contract for implementors:
 * - `nowMs` never goes back and has one origin for all threads of a process, so that two threads may compare readings.
 * - A timer fires once, never before its time, never inside the call that set it, and never after `cancel`.
 * - Timers that are due at once fire in the order of their due time, and then in the order they were set.
 */
export interface Clock {
  /** Monotonic milliseconds, with fractions, from an arbitrary origin. Use it for every duration and deadline. */
  nowMs(): number;
  /** Wall time in milliseconds since 1970. Only for logs and for noticing jumps; it may go back. */
  wallMs(): number;
  /** Calls `fire` once after `delayMs` (0: as soon as the current work is done). A negative or absent delay counts as 0. */
  timer(delayMs: number, fire: () => void): Timer;
  /**
   * Resolves after what the outside world has already sent is in: pending socket reads run first.
   * The monitor calls it after it overslept (`watch.pause`).
   */
  drain(): Promise<void>;
}

/** A timer that has been set. */
export interface Timer {
  /** Makes sure that the timer never fires (again). Harmless when it has. */
  cancel(): void;
}

/** Resolves after `delayMs` of the given clock; rejects with the signal's reason when aborted, leaving no timer. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.timer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
