/** A wake-up that is late by more than this part of an interval is a pause of the monitor's own. */
const pauseAfterIntervals = 0.5;

/**
 * Notices that this process or machine stood still (rule `watch.pause`): a timer fired late, or the wall clock moved against the monotonic one,
 * as it does when a machine was suspended. Sans-io.
 */
export class PauseDetector {
  /** When the monitor last looked. */
  lookedMs: number;
  #wallLeadMs: number;
  #dueMs = Infinity;

  constructor(nowMs: number, wallMs: number) {
    this.lookedMs = nowMs;
    this.#wallLeadMs = wallMs - nowMs;
  }

  /** The monitor wants to look again at this time. */
  expect(dueMs: number): void {
    this.#dueMs = dueMs;
  }

  /** By how much the monitor stood still, if it looks now; 0 for what is within bounds. */
  lateMs(nowMs: number, wallMs: number, intervalMs: number): number {
    const lateMs = Math.max(nowMs - this.#dueMs, Math.abs(wallMs - nowMs - this.#wallLeadMs));
    return lateMs > pauseAfterIntervals * intervalMs ? lateMs : 0;
  }

  /** The monitor has looked. */
  looked(nowMs: number, wallMs: number): void {
    this.lookedMs = nowMs;
    this.#wallLeadMs = wallMs - nowMs;
    this.#dueMs = Infinity;
  }
}
