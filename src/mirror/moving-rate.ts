/** The rate is that of the last while, not of the whole way: what was fast an hour ago says nothing of what remains. */
const windowMs = 10_000;
/** Samples are at least this far apart, so that there are few. */
const sampleEveryMs = 250;
const msPerSecond = 1_000;

interface Sample {
  readonly atMs: number;
  readonly doneBytes: number;
}

/** How fast something grew during the last ten seconds. */
export class MovingRate {
  /** In order; the first is from before the window where there is one. */
  readonly #samples: Sample[];

  constructor(atMs: number) {
    this.#samples = [{ atMs, doneBytes: 0 }];
  }

  /** So much was done by then. */
  sample(atMs: number, doneBytes: number): void {
    const samples = this.#samples;
    if (atMs - (samples.at(-1)?.atMs ?? 0) < sampleEveryMs) return;
    samples.push({ atMs, doneBytes });
    while (samples.length > 2 && (samples[1]?.atMs ?? atMs) <= atMs - windowMs) samples.shift();
  }

  /** Bytes a second until now, when so much is done; a standstill lowers it. */
  bytesPerSecond(nowMs: number, doneBytes: number): number {
    const [first] = this.#samples;
    if (!first || nowMs <= first.atMs) return 0;
    return Math.max(0, Math.round(((doneBytes - first.doneBytes) / (nowMs - first.atMs)) * msPerSecond));
  }
}

/** How long the rest takes at a rate; null while nothing is known. */
export function remainingMs(remainingBytes: number, bytesPerSecond: number): number | null {
  return bytesPerSecond > 0 ? Math.round((remainingBytes / bytesPerSecond) * msPerSecond) : null;
}
