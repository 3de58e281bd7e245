import type { Clock } from './clock.ts';

const nanosecondsPerMs = 1e6;

/** The machine's own time. `process.hrtime` has one origin for all threads, unlike `performance.now`. */
export const systemClock: Clock = Object.freeze({
  nowMs: () => Number(process.hrtime.bigint()) / nanosecondsPerMs,
  wallMs: () => Date.now(),
  timer(delayMs: number, fire: () => void) {
    const handle = setTimeout(fire, Math.max(0, delayMs));
    return { cancel: () => clearTimeout(handle) };
  },
  // Two turns of the event loop: the first poll phase may already be over when this is called.
  drain: () =>
    new Promise<void>((resolve) => {
      setImmediate(() => setImmediate(resolve));
    }),
});

/** Resolves when every promise that can go on has gone on, without a turn of the event loop. */
export function microtasksDone(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
