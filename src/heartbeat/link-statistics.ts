import { createHistogram } from 'node:perf_hooks';
import type { RecordableHistogram } from 'node:perf_hooks';

/** Tokens of each direction whose fate is remembered. */
export const rememberedTokens = 256;
/** Round trips in a histogram before the next begins; percentiles are of this one and the one before. */
export const tripsPerHistogram = 1_000;
/** Weight of a new round trip in the smoothed one, as TCP has it. */
const roundTripWeight = 1 / 8;
/** Weight of a new difference in the jitter, as RTP has it (RFC 3550, 6.4.1). */
const jitterWeight = 1 / 16;
const microsecondsPerMs = 1_000;
/** The range of the histogram: an hour, to two digits. */
const longestMicroseconds = 3_600_000_000;

/** Round trips of the tokens of one link, in ms. */
export interface RoundTripsMs {
  readonly last: number;
  readonly smoothed: number;
  /** Of the last 1,000 to 2,000, exact to one in a hundred, or a microsecond. */
  readonly p50: number;
  readonly p99: number;
  /** How much one differs from the next: smoothed as RTP does, but of round trips, for tokens don't tell when they were sent. */
  readonly jitter: number;
}

/** Of the last tokens whose fate is known, at most 256. */
export interface LossShare {
  readonly tokens: number;
  readonly lost: number;
  /** From 0 to 1; null where no fate is known. */
  readonly share: number | null;
}

/** Plain data: how good one link is. */
export interface LinkQuality {
  /** Null before the first answer. */
  readonly roundTripMs: RoundTripsMs | null;
  /** Own tokens without an answer: what was lost on the way there, or its answer on the way back. */
  readonly unanswered: LossShare;
  /** Tokens of the peer that did not arrive, by their numbers. */
  readonly missing: LossShare;
}

/**
 * How good one link is, from the tokens on it. Sans-io: times are arguments, in ms of one monotonic clock. Memory is bounded, whatever arrives; numbers and times that can be
 * none change nothing.
 */
export class LinkStatistics {
  readonly #trips = new RoundTrips();
  readonly #own = new Fates();
  readonly #peers = new Fates();
  readonly #sentMs = new Float64Array(rememberedTokens);

  /** Smoothed round trip, in ms; null before the first answer. */
  get smoothedMs(): number | null {
    return this.#trips.smoothedMs;
  }

  /** A token was sent. Its number is above all before it. */
  tokenSent(sequence: number, atMs: number): void {
    if (!Number.isFinite(atMs) || !this.#own.skipTo(sequence, 'void')) return;
    this.#own.settle(sequence, 'waiting');
    this.#sentMs[sequence % rememberedTokens] = atMs;
  }

  /** The answer to a token came. Returns its round trip in ms; null for a token that waits for none. */
  tokenAnswered(sequence: number, atMs: number): number | null {
    if (!Number.isFinite(atMs) || !this.#own.remembers(sequence)) return null;
    const fate = this.#own.fate(sequence);
    const tripMs = atMs - this.#sentMs[sequence % rememberedTokens]!;
    if ((fate !== 'waiting' && fate !== 'lost') || !(tripMs >= 0 && Number.isFinite(tripMs))) return null;
    this.#own.settle(sequence, 'arrived');
    this.#trips.add(tripMs);
    return tripMs;
  }

  /** A token of the peer arrived: those with numbers between it and the highest before are missing, until they come. */
  tokenArrived(sequence: number): void {
    if (this.#peers.skipTo(sequence, 'lost') || this.#peers.remembers(sequence)) this.#peers.settle(sequence, 'arrived');
  }

  /** The connection ended: what waits for an answer gets none, and that is not the fault of the link. */
  disconnected(): void {
    this.#own.replace('waiting', 'void');
  }

  /** The peer started anew and numbers its tokens from the beginning. */
  peerStarted(): void {
    this.#peers.forget();
  }

  /** All of it, at `nowMs`. A token without an answer for longer than `patienceMs` is lost. */
  quality(nowMs: number, patienceMs: number): LinkQuality {
    const late = (sequence: number): boolean => nowMs - this.#sentMs[sequence % rememberedTokens]! > patienceMs;
    this.#own.replace('waiting', 'lost', late);
    return { roundTripMs: this.#trips.summary(), unanswered: this.#own.share(), missing: this.#peers.share() };
  }
}

/** What became of a token; `void`: nothing that tells of the link. */
type Fate = 'void' | 'waiting' | 'arrived' | 'lost';

/** The fates of the last tokens of one direction, by number. */
class Fates {
  readonly #fates: Fate[] = Array.from({ length: rememberedTokens }, () => 'void');
  /** The highest number so far; -1 before the first. */
  #highest = -1;

  /** A higher number than all before came; those between become `between`. Returns whether it was one. Before the first there is nothing between. */
  skipTo(sequence: number, between: Fate): boolean {
    if (!Number.isSafeInteger(sequence) || sequence <= this.#highest || sequence < 0) return false;
    const first = this.#highest === -1 ? sequence : Math.max(this.#highest + 1, sequence - rememberedTokens);
    for (let each = first; each < sequence; each += 1) this.#fates[each % rememberedTokens] = between;
    this.#highest = sequence;
    return true;
  }

  remembers(sequence: number): boolean {
    return Number.isSafeInteger(sequence) && sequence >= 0 && sequence <= this.#highest && sequence > this.#highest - rememberedTokens;
  }

  fate(sequence: number): Fate {
    return this.#fates[sequence % rememberedTokens]!;
  }

  settle(sequence: number, fate: Fate): void {
    this.#fates[sequence % rememberedTokens] = fate;
  }

  replace(from: Fate, to: Fate, which: (sequence: number) => boolean = () => true): void {
    const lowest = Math.max(0, this.#highest - rememberedTokens + 1);
    for (let each = lowest; each <= this.#highest; each += 1) if (this.fate(each) === from && which(each)) this.settle(each, to);
  }

  forget(): void {
    this.#fates.fill('void');
    this.#highest = -1;
  }

  share(): LossShare {
    const lost = this.#fates.filter((fate) => fate === 'lost').length;
    const tokens = lost + this.#fates.filter((fate) => fate === 'arrived').length;
    return { tokens, lost, share: tokens === 0 ? null : lost / tokens };
  }
}

/** Round trips: the last, a smoothed one, their jitter, and a histogram of the recent ones. */
class RoundTrips {
  smoothedMs: number | null = null;
  #lastMs = 0;
  #jitterMs = 0;
  #recent: RecordableHistogram | null = null;
  #before: RecordableHistogram | null = null;

  add(tripMs: number): void {
    const beforeMs = this.smoothedMs === null ? tripMs : this.#lastMs;
    this.smoothedMs = this.smoothedMs === null ? tripMs : this.smoothedMs + (tripMs - this.smoothedMs) * roundTripWeight;
    this.#jitterMs += (Math.abs(tripMs - beforeMs) - this.#jitterMs) * jitterWeight;
    this.#lastMs = tripMs;
    if (this.#recent && this.#recent.count >= tripsPerHistogram) {
      this.#before = this.#recent;
      this.#recent = null;
    }
    this.#recent ??= newHistogram();
    this.#recent.record(Math.min(longestMicroseconds, Math.max(1, Math.round(tripMs * microsecondsPerMs))));
  }

  summary(): RoundTripsMs | null {
    if (this.smoothedMs === null) return null;
    const both = newHistogram();
    for (const each of [this.#recent, this.#before]) if (each) both.add(each);
    return {
      last: this.#lastMs,
      smoothed: this.smoothedMs,
      p50: both.percentile(50) / microsecondsPerMs,
      p99: both.percentile(99) / microsecondsPerMs,
      jitter: this.#jitterMs,
    };
  }
}

function newHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: longestMicroseconds, figures: 2 });
}
