import type { Clock, Timer } from '../clock/clock.ts';
import type { HotMirrorError } from '../errors.ts';
import type { ExtentRun } from './dirty-map.ts';

/** What could not be read is tried again after this time. */
const retryMs = 5_000;
/** Extents that are told of one by one; the others only wait. */
const mostTold = 16;

/**
 * The extents that a resync could not read from its source. Of a run that failed each extent is tried by itself; one that fails by itself waits for the next round.
 */
export class UnreadableExtents {
  readonly #clock: Clock;
  readonly #found: (extent: number, error: HotMirrorError) => void;
  readonly #retry: () => void;
  /** To be read one by one. */
  readonly #suspects = new Set<number>();
  /** Not to be read before the next round. */
  readonly #waiting = new Set<number>();
  readonly #told = new Set<number>();
  #timer: Timer | null = null;

  constructor(clock: Clock, found: (extent: number, error: HotMirrorError) => void, retry: () => void) {
    this.#clock = clock;
    this.#found = found;
    this.#retry = retry;
  }

  /** Whether the extent is to be read by itself. */
  suspects(extent: number): boolean {
    return this.#suspects.has(extent);
  }

  /** Whether the extent is not to be read now. */
  waits(extent: number): boolean {
    return this.#waiting.has(extent);
  }

  /** The run could not be read. */
  add({ first, count }: ExtentRun, error: HotMirrorError): void {
    for (let extent = first; extent < first + count; extent += 1) this.#suspects.add(extent);
    if (count > 1) return;
    this.#waiting.add(first);
    this.#timer ??= this.#clock.timer(retryMs, () => this.#again());
    if (this.#told.has(first) || this.#told.size >= mostTold) return;
    this.#told.add(first);
    this.#found(first, error);
  }

  /** The run was read. */
  read({ first, count }: ExtentRun): void {
    if (this.#suspects.size === 0) return;
    for (let extent = first; extent < first + count; extent += 1) this.#suspects.delete(extent);
  }

  /** Nothing is tried again. */
  stop(): void {
    this.#timer?.cancel();
  }

  #again(): void {
    this.#timer = null;
    this.#waiting.clear();
    this.#retry();
  }
}
