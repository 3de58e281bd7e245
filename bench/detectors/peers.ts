import { ArrivalWindow } from '../../src/heartbeat/arrival-window.ts';
import { deviationsAtPhi } from '../../src/heartbeat/patience.ts';
import type { Watcher } from './quality.ts';

/** Akka's φ accrual detector (`akka.cluster.failure-detector`): a gap that was taken for death teaches it nothing. */
export class AkkaDetector implements Watcher {
  readonly #window = new ArrivalWindow(akkaSamples);
  readonly #deviations: number;
  readonly #acceptablePauseMs: number;
  #lastMs: number | null = null;
  #allowedMs = 0;

  constructor(threshold: number, acceptablePauseMs: number, intervalMs: number) {
    this.#deviations = deviationsAtPhi(threshold);
    this.#acceptablePauseMs = acceptablePauseMs;
    for (const quarters of [3, 5]) this.#window.add((quarters * intervalMs) / 4);
  }

  heard(atMs: number): boolean {
    if (this.#lastMs !== null && atMs - this.#lastMs <= this.#allowedMs) this.#window.add(atMs - this.#lastMs);
    this.#lastMs = atMs;
    const deviationMs = Math.max(akkaMinDeviationMs, this.#window.deviationMs());
    this.#allowedMs = this.#window.meanMs() + this.#acceptablePauseMs + this.#deviations * deviationMs;
    return true;
  }

  /** It does not know of its own pauses. */
  freshen(): void {
    return;
  }

  deadAfterMs(): number | null {
    return this.#lastMs === null ? null : this.#lastMs + this.#allowedMs;
  }
}

/** Cassandra's detector: gaps are taken to be exponential, so φ is the silence in mean gaps, and long gaps teach it nothing. */
export class CassandraDetector implements Watcher {
  readonly #window = new ArrivalWindow(cassandraSamples);
  readonly #means: number;
  #lastMs: number | null = null;

  constructor(threshold: number) {
    this.#means = threshold * Math.LN10;
    this.#window.add(cassandraLongestGapMs);
  }

  heard(atMs: number): boolean {
    const gapMs = this.#lastMs === null ? Infinity : atMs - this.#lastMs;
    if (gapMs <= cassandraLongestGapMs) this.#window.add(gapMs);
    this.#lastMs = atMs;
    return true;
  }

  /** It stays silent for a while after a pause of its own, which is not played here. */
  freshen(): void {
    return;
  }

  deadAfterMs(): number | null {
    return this.#lastMs === null ? null : this.#lastMs + this.#means * this.#window.meanMs();
  }
}

const akkaSamples = 1_000;
const akkaMinDeviationMs = 100;
const cassandraSamples = 1_000;
const cassandraLongestGapMs = 2_000;
