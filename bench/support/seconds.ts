import { systemClock } from '../../src/clock/system-clock.ts';

/** Seconds that something took. */
export async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const beganMs = systemClock.nowMs();
  await run();
  return (systemClock.nowMs() - beganMs) / 1e3;
}
