import type { Detector } from './detector.ts';
import { LinkStatistics } from './link-statistics.ts';
import type { LinkQuality } from './link-statistics.ts';
import { lateAfterIntervals, learnedPatience } from './options.ts';
import type { WatchTimes } from './options.ts';
import type { LinkState } from './types.ts';

/** Tokens of one link that may wait for their answer; of more, the oldest is forgotten. */
export const outstandingTokens = 256;

const severity: Readonly<Record<LinkState, number>> = { up: 0, late: 1, down: 2 };

/**
 * How long a source of life has been silent: a monitor link, or a data link. Sans-io: time is an argument.
 *
 * Silence counts from the last sign of life or from the last moment at which the watcher itself began anew, whichever is later. Beginning anew
 * makes nothing better by itself: what was late or down stays so until it is heard. It is borne for the deadline, or for longer where a detector has learnt to.
 */
export class LifeWatch {
  /** The last sign of life; null for never. */
  lastSeenMs: number | null = null;
  #countedFromMs: number;
  /** The best that this may be until it is heard again. */
  #atBest: LinkState = 'down';
  #detector: Detector | null = null;

  constructor(startedMs: number) {
    this.#countedFromMs = startedMs;
  }

  /** From when silence is counted. */
  get countedFromMs(): number {
    return this.#countedFromMs;
  }

  /** A sign of life at `atMs`. An older one than the last changes nothing. */
  heard(atMs: number): void {
    if (this.lastSeenMs !== null && atMs < this.lastSeenMs) return;
    this.lastSeenMs = atMs;
    this.#countedFromMs = Math.max(this.#countedFromMs, atMs);
    this.#atBest = 'up';
    this.#detector?.heard(atMs);
  }

  /** The watcher stood still, and something that waited meanwhile is about to be heard: the gap teaches nothing. */
  sleptThrough(nowMs: number, lookedMs: number): void {
    this.#detector?.freshen(nowMs, lookedMs);
  }

  /** What was learnt under other times is forgotten. */
  learnAnew(times: WatchTimes): void {
    this.#detector = learnedPatience(times);
  }

  /** The watcher changes its times, or itself stood still: the state stays until something is heard. */
  hold(nowMs: number, times: WatchTimes): void {
    this.#atBest = this.state(nowMs, times);
  }

  /** The watcher itself stood still: a fresh deadline begins (rule `watch.pause`). `wasMs` is when it last looked. */
  freshen(nowMs: number, wasMs: number, times: WatchTimes): void {
    this.hold(Math.min(nowMs, Math.max(wasMs, this.#countedFromMs)), times);
    this.#countedFromMs = Math.max(this.#countedFromMs, nowMs);
    this.#detector?.freshen(nowMs, wasMs);
  }

  /** How long the present silence is borne: the deadline at least, which leases and fences are computed from. */
  borneMs({ deadlineMs }: WatchTimes): number {
    const deadAfterMs = this.#detector?.deadAfterMs() ?? null;
    return deadAfterMs === null ? deadlineMs : Math.max(deadlineMs, deadAfterMs - this.#countedFromMs);
  }

  silentMs(nowMs: number): number {
    return Math.max(0, nowMs - this.#countedFromMs);
  }

  state(nowMs: number, times: WatchTimes): LinkState {
    const silentMs = this.silentMs(nowMs);
    const byAge = silentMs > this.borneMs(times) ? 'down' : silentMs > lateAfterMs(times) ? 'late' : 'up';
    return severity[byAge] > severity[this.#atBest] ? byAge : this.#atBest;
  }

  /** The next moment at which silence alone passes a threshold; null when it has passed both. */
  nextThresholdMs(nowMs: number, times: WatchTimes): number | null {
    const lateMs = this.#countedFromMs + lateAfterMs(times);
    if (lateMs >= nowMs) return lateMs;
    const downMs = this.#countedFromMs + this.borneMs(times);
    return downMs >= nowMs ? downMs : null;
  }
}

/** A token that was sent. */
export interface Probe {
  readonly sequence: number;
  readonly nonce: string;
}

/**
 * What one monitor link knows: its signs of life, the tokens that wait for an answer, how good it is, and the last token of the peer.
 * Sans-io: time and nonces are arguments.
 */
export class LinkWatch extends LifeWatch {
  /** The last token sent or dial that failed: this node tried to reach the peer at that time. */
  attemptedMs: number | null = null;
  #sentMs: number | null = null;
  #sequence = 0;
  readonly #outstanding = new Map<number, { readonly nonce: string; readonly sentMs: number }>();
  #peerRun: string | null = null;
  #peerSequence = 0;
  readonly #statistics = new LinkStatistics();
  readonly #lateProbeMinMs: number;

  /** `lateProbeMinMs`: between two tokens while it is late, where it cannot carry more. */
  constructor(startedMs: number, lateProbeMinMs = 0) {
    super(startedMs);
    this.#lateProbeMinMs = lateProbeMinMs;
  }

  /** Smoothed round trip; null before the first answer. */
  get rttMs(): number | null {
    return this.#statistics.smoothedMs;
  }

  /** How good the link is; a token without an answer for longer than `patienceMs` is lost. */
  quality(nowMs: number, patienceMs: number): LinkQuality {
    return this.#statistics.quality(nowMs, patienceMs);
  }

  /** Numbers a token that is about to be sent and remembers it. */
  probe(nowMs: number, nonce: string): Probe {
    this.#sequence += 1;
    this.#outstanding.set(this.#sequence, { nonce, sentMs: nowMs });
    const [oldest] = this.#outstanding.keys();
    if (oldest !== undefined && this.#outstanding.size > outstandingTokens) this.#outstanding.delete(oldest);
    this.#statistics.tokenSent(this.#sequence, nowMs);
    this.#sentMs = nowMs;
    this.attemptedMs = nowMs;
    return { sequence: this.#sequence, nonce };
  }

  /** When the next token is due on a link that has a connection. */
  probeDueMs(nowMs: number, times: WatchTimes): number {
    if (this.#sentMs === null) return nowMs;
    const { intervalMs, lateProbeMs } = times;
    const lateMs = Math.min(intervalMs, Math.max(lateProbeMs, this.#lateProbeMinMs));
    return this.#sentMs + (this.state(nowMs, times) === 'up' ? intervalMs : lateMs);
  }

  /** Matches an answer with its token, once. Gives when the token was sent, or null: forged, replayed, or forgotten. */
  answered(answer: Probe, nowMs: number): number | null {
    const probe = this.#outstanding.get(answer.sequence);
    if (probe?.nonce !== answer.nonce) return null;
    this.#outstanding.delete(answer.sequence);
    this.#statistics.tokenAnswered(answer.sequence, nowMs);
    return probe.sentMs;
  }

  /** Whether a token of the peer's start `run` is fresh: later than all before it on this link. */
  tokenIsFresh(run: string, sequence: number): boolean {
    if (run === this.#peerRun && sequence <= this.#peerSequence) return false;
    if (run !== this.#peerRun) this.#statistics.peerStarted();
    this.#statistics.tokenArrived(sequence);
    this.#peerRun = run;
    this.#peerSequence = sequence;
    return true;
  }

  /** The connection ended: no answer to what was sent on it can come. */
  disconnected(): void {
    this.#outstanding.clear();
    this.#statistics.disconnected();
    this.#sentMs = null;
  }

  /** All state, for simulators. */
  snapshot(): { readonly [key: string]: number | string | null } {
    const { lastSeenMs, countedFromMs, rttMs, attemptedMs } = this;
    return {
      lastSeenMs,
      countedFromMs,
      rttMs,
      attemptedMs,
      sequence: this.#sequence,
      outstanding: this.#outstanding.size,
      peerSequence: this.#peerSequence,
    };
  }
}

function lateAfterMs(times: WatchTimes): number {
  return lateAfterIntervals * times.intervalMs;
}
