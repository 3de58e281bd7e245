import type { Clock } from '../clock/clock.ts';
import type { DigestName } from './digests.ts';
import { ResyncRate } from './resync-rate.ts';
import type { ResyncRateLimits } from './resync-rate.ts';

/** What operators decide of the resyncs of a mirror, whichever connection they run on: how fast they go, and whether they go at all. */
export class ResyncControl {
  readonly rate: ResyncRate;
  /** By which elements are compared. */
  readonly digest: DigestName;
  /** Lets what runs now go on as far as it may; set by the source's end of the connection there is. */
  pump: () => void = () => undefined;
  #paused: string | null = null;

  constructor(clock: Clock, limits: ResyncRateLimits, digest: DigestName) {
    this.digest = digest;
    this.rate = new ResyncRate(clock, limits);
  }

  /** Why resyncs stand still; null: they do not. Not remembered beyond the process. */
  get paused(): string | null {
    return this.#paused;
  }

  /** Resyncs stand still from now on. */
  pause(because: string): void {
    this.#paused = because;
  }

  /** Undoes `pause`. */
  resume(): void {
    this.#paused = null;
    this.pump();
  }

  /** Other limits from now on. Throws `RangeError` on some that make no sense. */
  configure(limits: ResyncRateLimits): void {
    this.rate.limits = limits;
    this.pump();
  }
}
