/** Fewer dirty extents than this are sent outright. */
const leastExtents = 16;
/** After the first comparison that did not pay so many extents are sent outright. */
const firstPlainExtents = 64;
/** Never more than this before it is tried again. */
const mostPlainExtents = 1_024;

/**
 * Whether a resync has extents compared before it sends them. That pays where most are the same: after a crash, for an element that was away for long, or a replaced
 * one that holds an old copy; and it costs a second read where they differ. Nobody knows beforehand, a blank element included, which may lie on a disk full of the
 * same data. So it is tried, and where most extents differ it is tried ever more rarely.
 */
export class ComparePolicy {
  readonly #enough: boolean;
  #plainExtents = 0;
  #step = 0;

  constructor(dirtyExtents: number) {
    this.#enough = dirtyExtents >= leastExtents;
  }

  /** Whether to compare now. */
  get pays(): boolean {
    return this.#enough && this.#plainExtents <= 0;
  }

  /** So many extents were sent outright. */
  sent(extents: number): void {
    this.#plainExtents -= extents;
  }

  /** So many were compared, and so many of them differ. */
  compared(extents: number, differing: number): void {
    if (this.#plainExtents > 0) return;
    this.#step = differing * 2 > extents ? Math.min(mostPlainExtents, Math.max(firstPlainExtents, this.#step * 2)) : 0;
    this.#plainExtents = this.#step;
  }
}
