/** What a read from the page cache takes at most, in ms: the call, and so much a byte. What takes longer came from the disk. */
const cachedCallMs = 0.06;
const cachedByteMs = 1e-6;
/** How long reads go to the pool after one that was slow; twice as long each time that the next one here is slow too. */
const leastAsideMs = 10;
const mostAsideMs = 200;

/**
 * Decides whether the next read of a file is made here, in the calling thread, or in the pool. From the page cache here is some twenty times as fast; from the disk it would keep everything else in the
 * thread waiting. Nothing tells beforehand which it will be, so what the last reads took does.
 */
export class ReadPace {
  #asideUntilMs = -Infinity;
  #asideMs = leastAsideMs;

  /** Whether a read that begins now is made in the calling thread. */
  here(nowMs: number): boolean {
    return nowMs >= this.#asideUntilMs;
  }

  /** A read in the calling thread has ended. */
  took(lengthBytes: number, tookMs: number, nowMs: number): void {
    if (tookMs <= cachedCallMs + lengthBytes * cachedByteMs) {
      this.#asideMs = leastAsideMs;
      return;
    }
    this.#asideUntilMs = nowMs + this.#asideMs;
    this.#asideMs = Math.min(mostAsideMs, 2 * this.#asideMs);
  }
}
