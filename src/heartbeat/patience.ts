import { ArrivalWindow } from './arrival-window.ts';

/** Gaps between signs of life that an adaptive patience remembers. */
export const patienceWindow = 200;
/** With fewer gaps known there is nothing to adapt to. */
export const fewestGaps = 10;

/** How long a silence is borne, learnt from the gaps between signs of life. */
export interface Patience {
  /** A sign of life came `gapMs` after the one before. */
  learn(gapMs: number): void;
  /** How long a silence that begins now is borne, in ms; null while too little is known. */
  silenceMs(): number | null;
}

/** What the φ accrual patience is made of. */
export interface PhiAccrualSettings {
  /** The φ that is one too many: a silence of φ is wrong once in 10^φ, if gaps have a normal distribution. */
  readonly threshold: number;
  /** The least deviation that gaps are taken to have, in ms: very regular ones would make it too strict. */
  readonly minDeviationMs: number;
  /** Silence that is borne on top, in ms. */
  readonly acceptablePauseMs: number;
}

/**
 * The φ accrual detector of Hayashibara, Défago, Yared and Katayama, turned round: not how suspect a silence is, but how long it must be for φ to reach the threshold.
 * φ is that of Akka, the logistic approximation of the normal distribution, so that a threshold means the same here and there.
 */
export class PhiAccrualPatience implements Patience {
  readonly #window = new ArrivalWindow(patienceWindow);
  readonly #settings: PhiAccrualSettings;
  readonly #deviations: number;

  constructor(settings: PhiAccrualSettings) {
    this.#settings = settings;
    this.#deviations = deviationsAtPhi(settings.threshold);
  }

  learn(gapMs: number): void {
    this.#window.add(gapMs);
  }

  silenceMs(): number | null {
    if (this.#window.count < fewestGaps) return null;
    const { minDeviationMs, acceptablePauseMs } = this.#settings;
    const deviationMs = Math.max(minDeviationMs, this.#window.deviationMs());
    return this.#window.meanMs() + acceptablePauseMs + this.#deviations * deviationMs;
  }
}

/** The adaptive detector of Chen, Toueg and Aguilera: the next sign of life has a margin, counted from when it is expected. */
export class ExpectedArrivalPatience implements Patience {
  readonly #window = new ArrivalWindow(patienceWindow);
  readonly #marginMs: number;

  constructor(marginMs: number) {
    this.#marginMs = marginMs;
  }

  learn(gapMs: number): void {
    this.#window.add(gapMs);
  }

  silenceMs(): number | null {
    return this.#window.count < fewestGaps ? null : this.#window.expectedMs() + this.#marginMs;
  }
}

/** Of the logistic approximation: the probability of y deviations or less is 1 / (1 + exp(−y (linear + cubic × y²))). */
const linear = 1.5976;
const cubic = 0.070566;

/** How many deviations beyond the mean a silence lasts when φ reaches `phi`, which is above 0: the one real root of a cubic, below 0 for a φ below that of the mean. */
export function deviationsAtPhi(phi: number): number {
  // φ = log10(1 + exp(x)), where x = linear × y + cubic × y³. For a large φ, 10^φ itself would be too large.
  const x = phi * Math.LN10 + Math.log1p(-(10 ** -phi));
  const half = x / cubic / 2;
  const third = linear / cubic / 3;
  const root = Math.hypot(half, third ** (3 / 2));
  // One of the two summands of Cardano's formula; the other follows from it without cancellation.
  const large = Math.cbrt(Math.abs(half) + root);
  return Math.sign(half) * (large - third / large);
}
