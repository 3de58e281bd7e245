import { ExpectedArrivalPatience, PhiAccrualPatience } from './patience.ts';
import type { Patience } from './patience.ts';

/** What a detector says of a link: `unknown` before the first sign of life. */
export type DetectorState = 'unknown' | 'alive' | 'dead';

/**
 * What decides how long a silence is borne: `deadline`, always the same; `phi-accrual` and `chen`, learnt from the gaps between signs of life.
 * Times are in ms and above 0. Leases and fences are computed from `deadlineMs`: nothing is called dead sooner, whatever was learnt. After `maxDeadlineMs`, at least
 * `deadlineMs`, everything is.
 */
export type DetectorOptions =
  | { readonly kind: 'deadline'; readonly deadlineMs: number }
  | {
      readonly kind: 'phi-accrual';
      readonly deadlineMs: number;
      readonly maxDeadlineMs: number;
      /** The φ that is one too many. Default 8. */
      readonly threshold?: number;
      /** The least deviation that gaps are taken to have. Default 100 ms. */
      readonly minDeviationMs?: number;
      /** Silence that is borne on top; 0 or more. Default half of `deadlineMs`. */
      readonly acceptablePauseMs?: number;
    }
  | {
      readonly kind: 'chen';
      readonly deadlineMs: number;
      readonly maxDeadlineMs: number;
      /** How long after its expected time the next sign of life may come. Default `deadlineMs`. */
      readonly marginMs?: number;
    };

/**
 * Decides when the silence of one link is death. Sans-io: times are arguments, in ms of one monotonic clock.
 *
 * A time that is not finite, or a sign of life from before the last, changes nothing, and there is no verdict about it. Once dead, a link stays so until it is heard.
 */
export interface Detector {
  /** A sign of life at `atMs`. Returns whether it counted. */
  heard(atMs: number): boolean;
  /**
   * The watcher itself stood still until `nowMs`, and had last looked at `lookedMs` (rule `watch.pause`): the silence counts anew from now, and the gap in which the
   * pause lies teaches nothing. What was dead when it last looked stays dead. To be told before the signs of life that waited meanwhile.
   */
  freshen(nowMs: number, lookedMs: number): void;
  /** The last moment at which the present silence is not yet death; null before the first sign of life. */
  deadAfterMs(): number | null;
  state(nowMs: number): DetectorState;
}

/** What a detector is called. */
export type DetectorKind = 'deadline' | 'phi-accrual' | 'chen';

/** The kinds of detectors. */
export const detectors: readonly DetectorKind[] = ['deadline', 'phi-accrual', 'chen'];

/** A choice of {@link DetectorOptions} whose `deadlineMs` is that of the monitor. */
export type DetectorChoice =
  | { readonly kind: 'deadline' }
  | Omit<Extract<DetectorOptions, { readonly kind: 'phi-accrual' }>, 'deadlineMs'>
  | Omit<Extract<DetectorOptions, { readonly kind: 'chen' }>, 'deadlineMs'>;

const defaultThreshold = 8;
const defaultMinDeviationMs = 100;
const acceptablePauseDeadlines = 0.5;

/** Makes a detector. Throws `RangeError` for options that none can keep. */
export function createDetector(options: DetectorOptions): Detector {
  const { deadlineMs } = options;
  mustBeAbove0('deadlineMs', deadlineMs);
  if (options.kind === 'deadline') return new SilenceDetector(deadlineMs, deadlineMs, null);
  const { maxDeadlineMs } = options;
  if (!(Number.isFinite(maxDeadlineMs) && maxDeadlineMs >= deadlineMs)) throw new RangeError('maxDeadlineMs must be at least deadlineMs');
  return new SilenceDetector(deadlineMs, maxDeadlineMs, patienceFor(options));
}

function patienceFor(options: Exclude<DetectorOptions, { readonly kind: 'deadline' }>): Patience {
  const { deadlineMs } = options;
  if (options.kind === 'chen') {
    const { marginMs = deadlineMs } = options;
    mustBeAbove0('marginMs', marginMs);
    return new ExpectedArrivalPatience(marginMs);
  }
  const { threshold = defaultThreshold, minDeviationMs = defaultMinDeviationMs } = options;
  const { acceptablePauseMs = acceptablePauseDeadlines * deadlineMs } = options;
  mustBeAbove0('threshold', threshold);
  mustBeAbove0('minDeviationMs', minDeviationMs);
  if (!(Number.isFinite(acceptablePauseMs) && acceptablePauseMs >= 0)) throw new RangeError('acceptablePauseMs must be 0 or more');
  return new PhiAccrualPatience({ threshold, minDeviationMs, acceptablePauseMs });
}

function mustBeAbove0(name: string, value: number): void {
  if (!(Number.isFinite(value) && value > 0)) throw new RangeError(`${name} must be above 0, not ${String(value)}`);
}

/** Counts silence and keeps the bounds; how much is borne between them is a matter of the patience. */
class SilenceDetector implements Detector {
  readonly #deadlineMs: number;
  readonly #maxDeadlineMs: number;
  readonly #patience: Patience | null;
  #lastSeenMs: number | null = null;
  #countedFromMs = 0;
  /** How long the present silence is borne: settled when it begins, so that a longer one never looks better. */
  #allowedMs: number;
  /** When it died, before the watcher stood still. */
  #diedAfterMs: number | null = null;

  constructor(deadlineMs: number, maxDeadlineMs: number, patience: Patience | null) {
    this.#deadlineMs = deadlineMs;
    this.#maxDeadlineMs = maxDeadlineMs;
    this.#patience = patience;
    this.#allowedMs = deadlineMs;
  }

  heard(atMs: number): boolean {
    const lastSeenMs = this.#lastSeenMs;
    if (!Number.isFinite(atMs) || (lastSeenMs !== null && atMs < lastSeenMs)) return false;
    // A gap with an own pause in it, or an outage, says nothing about how regular the peer is.
    const gapMs = lastSeenMs === this.#countedFromMs ? atMs - lastSeenMs : Infinity;
    if (this.#patience && gapMs <= this.#maxDeadlineMs) {
      this.#patience.learn(gapMs);
      const wishedMs = this.#patience.silenceMs() ?? this.#deadlineMs;
      this.#allowedMs = Math.min(this.#maxDeadlineMs, Math.max(this.#deadlineMs, wishedMs));
    }
    this.#lastSeenMs = atMs;
    this.#countedFromMs = lastSeenMs === null ? atMs : Math.max(this.#countedFromMs, atMs);
    this.#diedAfterMs = null;
    return true;
  }

  freshen(nowMs: number, lookedMs: number): void {
    if (this.#lastSeenMs === null || !Number.isFinite(nowMs) || nowMs <= this.#countedFromMs) return;
    if (this.state(Math.min(nowMs, lookedMs)) === 'dead') this.#diedAfterMs = this.deadAfterMs();
    this.#countedFromMs = nowMs;
  }

  deadAfterMs(): number | null {
    if (this.#lastSeenMs === null) return null;
    return this.#diedAfterMs ?? this.#countedFromMs + this.#allowedMs;
  }

  state(nowMs: number): DetectorState {
    const afterMs = this.deadAfterMs();
    if (afterMs === null || !Number.isFinite(nowMs)) return 'unknown';
    return nowMs > afterMs ? 'dead' : 'alive';
  }
}
