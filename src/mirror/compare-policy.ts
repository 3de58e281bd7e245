/** Fewer dirty extents than this are sent outright. */
const leastExtents = 16;
/** After the first comparison that did not pay so many extents are sent outright. */
const firstPlainExtents = 64;
/** Never more than this before it is tried again. */
const mostPlainExtents = 1_024;

/**
 * Whether a resync has extents compared before it sends them. That pays where most are the same: after a crash, for an element that was away for long, or a replaced
 * one that holds an old copy; and it costs a second read where they differ. Nobody knows beforehand, a blank element included, which may lie on a disk full of the
 * same data. So it is tried, and where most extents differ it is tried ever more rarely, and by one
 * comparison: until its answer is there what follows is sent outright.
 */
export class ComparePolicy {
  readonly #enough: boolean;
  #plainExtents = 0;
  /** After the next comparison that does not pay; 0: the last one did, or nothing is known. */
  #step = 0;
  /** Comparisons that have no answer yet. */
  #asked = 0;

  constructor(dirtyExtents: number) {
    this.#enough = dirtyExtents >= leastExtents;
  }

  /** Whether to compare now. */
  get pays(): boolean {
    return this.#enough && this.#plainExtents <= 0 && (this.#step === 0 || this.#asked === 0);
  }

  /** A comparison is on its way. */
  asked(): void {
    this.#asked += 1;
  }

  /** So many extents were sent outright. */
  sent(extents: number): void {
    this.#plainExtents -= extents;
  }

  /** Its answer: so many extents were compared, and so many of them differ. */
  compared(extents: number, differing: number): void {
    this.#asked -= 1;
    if (this.#plainExtents > 0) return;
    this.#step = differing * 2 > extents ? Math.min(mostPlainExtents, Math.max(firstPlainExtents, this.#step * 2)) : 0;
    this.#plainExtents = this.#step;
  }
}
