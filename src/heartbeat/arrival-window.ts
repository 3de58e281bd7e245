/**
 * The last gaps between signs of life, in bounded memory: their mean, their deviation, and when the next sign is to be expected.
 * Sans-io. Every operation takes constant time, on average.
 */
export class ArrivalWindow {
  readonly #gapsMs: Float64Array;
  #count = 0;
  #next = 0;
  #sum = 0;
  #squares = 0;
  /** Each gap times its place in the window, of which the oldest has 1. */
  #placed = 0;

  /** `size` is how many gaps are kept, a whole number from 1. Throws `RangeError`. */
  constructor(size: number) {
    if (!(Number.isSafeInteger(size) && size > 0)) throw new RangeError(`a window keeps 1 gap or more, not ${String(size)}`);
    this.#gapsMs = new Float64Array(size);
  }

  /** How many gaps are known, at most the size of the window. */
  get count(): number {
    return this.#count;
  }

  /** Takes a gap in; beyond the size, the oldest goes. Throws `RangeError` for one that is not finite or below 0. */
  add(gapMs: number): void {
    if (!(Number.isFinite(gapMs) && gapMs >= 0)) throw new RangeError(`a gap lasts 0 ms or more, not ${String(gapMs)}`);
    const gaps = this.#gapsMs;
    if (this.#count < gaps.length) {
      this.#count += 1;
      this.#placed += this.#count * gapMs;
    } else {
      const oldestMs = gaps[this.#next]!;
      this.#placed += this.#count * gapMs - this.#sum;
      this.#sum -= oldestMs;
      this.#squares -= oldestMs * oldestMs;
    }
    this.#sum += gapMs;
    this.#squares += gapMs * gapMs;
    gaps[this.#next] = gapMs;
    this.#next = (this.#next + 1) % gaps.length;
    if (this.#next === 0) this.#sumAnew();
  }

  /** Mean of the gaps, in ms; 0 where none is known. */
  meanMs(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** Standard deviation of the gaps, in ms; 0 where none is known. */
  deviationMs(): number {
    if (this.#count === 0) return 0;
    const meanMs = this.meanMs();
    return Math.sqrt(Math.max(0, this.#squares / this.#count - meanMs * meanMs));
  }

  /**
   * How long after the last sign of life the next is expected, in ms (Chen, Toueg and Aguilera): each sign in the window says when, if from it on one had come
   * in every mean gap, and the mean of what they say counts. Below the mean gap after a sign that came late, above it after one that came early.
   */
  expectedMs(): number {
    const meanMs = this.meanMs();
    return meanMs + (meanMs * this.#count) / 2 - this.#placed / (this.#count + 1);
  }

  /** Once in a turn, so that errors of rounding don't add up. */
  #sumAnew(): void {
    this.#sum = 0;
    this.#squares = 0;
    this.#placed = 0;
    for (const [at, gapMs] of this.#gapsMs.entries()) {
      this.#sum += gapMs;
      this.#squares += gapMs * gapMs;
      this.#placed += (at + 1) * gapMs;
    }
  }
}
