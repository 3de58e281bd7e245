import { LifeWatch } from './link-watch.ts';
import type { LinkWatch } from './link-watch.ts';
import { shortestGraceMs } from './options.ts';
import type { WatchTimes } from './options.ts';
import { freshSilence } from './silence.ts';
import type { SilenceEvidence, WatchState } from './types.ts';
import type { Observation, SourceView } from './verdict.ts';

/** Sources of life other than monitor links. */
export const mostSources = 256;

/** A monitor link, as far as its silence goes. */
export interface WatchedLink {
  readonly name: string;
  readonly watch: LinkWatch;
}

/** All that the monitor has seen and been told, as the rules want it. Sans-io: time is an argument. */
export class Outlook {
  times: WatchTimes;
  /** The peer gave a sign of life since the start. */
  seen = false;
  /** Why an operator allowed a verdict about a peer never seen. */
  unseenBecause: string | null = null;
  readonly pausedBecause: Set<string> = new Set();
  readonly sources: Map<string, LifeWatch> = new Map();
  readonly #links: readonly WatchedLink[];
  #startedMs: number | null = null;
  #graceUntilMs: number;
  #freshSinceMs = 0;

  constructor(links: readonly WatchedLink[], times: WatchTimes, initialGraceMs: number) {
    this.#links = links;
    this.times = times;
    this.#graceUntilMs = initialGraceMs;
  }

  /** The watch begins; so does the initial grace. */
  start(nowMs: number): void {
    this.#startedMs = nowMs;
    this.#graceUntilMs += nowMs;
    this.beginAnew(nowMs, nowMs);
  }

  /** The times change; what is late or down stays so until it is heard, and a grace that still runs grows with the deadline. */
  configure(times: WatchTimes, nowMs: number): void {
    for (const watch of this.#watches()) watch.hold(nowMs, this.times);
    this.times = times;
    const fromMs = this.#startedMs ?? 0;
    if (this.#inGrace(nowMs)) this.#graceUntilMs = Math.max(this.#graceUntilMs, fromMs + shortestGraceMs(times.deadlineMs));
  }

  /** A fresh deadline begins for every link and source (rule `watch.pause`); `lookedMs` is when the monitor last looked. */
  beginAnew(nowMs: number, lookedMs: number): void {
    this.#freshSinceMs = nowMs;
    for (const watch of this.#watches()) watch.freshen(nowMs, lookedMs, this.times);
  }

  /** A sign of life of a source other than the monitor links. Throws `RangeError` where there are too many of them. */
  heard(source: string, atMs: number): void {
    let watch = this.sources.get(source);
    if (!watch) {
      if (this.sources.size >= mostSources) throw new RangeError(`at most ${String(mostSources)} sources`);
      watch = new LifeWatch(atMs);
      this.sources.set(source, watch);
    }
    watch.heard(atMs);
    this.seen = true;
  }

  watchState(nowMs: number): WatchState {
    if (this.pausedBecause.size > 0) return 'paused';
    return this.#inGrace(nowMs) ? 'grace' : 'normal';
  }

  /** What a verdict depends on. */
  observe(nowMs: number, left: boolean): Observation {
    const view = (name: string, watch: LifeWatch): SourceView => {
      return { name, state: watch.state(nowMs, this.times), silentMs: watch.silentMs(nowMs), lastSeenMs: watch.lastSeenMs };
    };
    return {
      nowMs,
      deadlineMs: this.times.deadlineMs,
      watch: this.watchState(nowMs),
      pausedBecause: [...this.pausedBecause],
      seen: this.seen,
      unseenBecause: this.unseenBecause,
      left,
      links: this.#links.map(({ name, watch }) => view(name, watch)),
      sources: [...this.sources].map(([name, watch]) => view(name, watch)),
    };
  }

  /** See `freshSilence`; `asleep` says that the monitor is overdue. */
  freshSilence(sinceMs: number, nowMs: number, asleep: boolean): SilenceEvidence {
    const { deadlineMs } = this.times;
    const links = this.#links.map(({ watch }) => watch);
    return freshSilence({
      nowMs,
      sinceMs,
      freshSinceMs: this.#freshSinceMs,
      asleep,
      deadlineMs,
      links,
      sources: [...this.sources.values()],
    });
  }

  /** The next moments at which time alone may change something. */
  thresholdsMs(nowMs: number): readonly number[] {
    const silence = this.#watches().flatMap((watch) => watch.nextThresholdMs(nowMs, this.times) ?? []);
    return this.#inGrace(nowMs) ? [...silence, this.#graceUntilMs] : silence;
  }

  /** All state of its own, for simulators. */
  snapshot(): { readonly startedMs: number | null; readonly graceUntilMs: number; readonly freshSinceMs: number } {
    return { startedMs: this.#startedMs, graceUntilMs: this.#graceUntilMs, freshSinceMs: this.#freshSinceMs };
  }

  #inGrace(nowMs: number): boolean {
    return this.#startedMs === null || nowMs < this.#graceUntilMs;
  }

  #watches(): readonly LifeWatch[] {
    return [...this.#links.map(({ watch }) => watch), ...this.sources.values()];
  }
}
