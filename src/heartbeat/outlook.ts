import { LifeWatch } from './link-watch.ts';
import type { LinkWatch } from './link-watch.ts';
import { shortestGraceMs } from './options.ts';
import type { WatchTimes } from './options.ts';
import { freshSilence } from './silence.ts';
import type { Json, SilenceEvidence, WatchPause, WatchState } from './types.ts';
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
  /** Why verdicts are paused, and until when; null: until it is taken back. */
  readonly #pauses = new Map<string, number | null>();
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
    for (const { watch } of this.#links) watch.learnAnew(times);
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

  /** No verdict until `resume` with the same words, or until `untilMs`. */
  pause(because: string, untilMs: number | null): void {
    this.#pauses.set(because, untilMs);
  }

  resume(because: string): void {
    this.#pauses.delete(because);
  }

  /** What pauses verdicts at `nowMs`. */
  pauses(nowMs: number): readonly WatchPause[] {
    return [...this.#pauses].flatMap(([because, untilMs]) => {
      if (untilMs === null) return { because, remainingMs: null };
      return nowMs < untilMs ? { because, remainingMs: untilMs - nowMs } : [];
    });
  }

  watchState(nowMs: number): WatchState {
    if (this.pauses(nowMs).length > 0) return 'paused';
    return this.#inGrace(nowMs) ? 'grace' : 'normal';
  }

  /** What a verdict depends on. */
  observe(nowMs: number, left: boolean): Observation {
    const view = (name: string, watch: LifeWatch): SourceView => {
      return {
        name,
        state: watch.state(nowMs, this.times),
        silentMs: watch.silentMs(nowMs),
        borneMs: watch.borneMs(this.times),
        lastSeenMs: watch.lastSeenMs,
      };
    };
    return {
      nowMs,
      deadlineMs: this.times.deadlineMs,
      watch: this.watchState(nowMs),
      pausedBecause: this.pauses(nowMs).map(({ because }) => because),
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
    const pauses = [...this.#pauses.values()].flatMap((untilMs) => (untilMs !== null && untilMs > nowMs ? [untilMs] : []));
    return [...silence, ...pauses, ...(this.#inGrace(nowMs) ? [this.#graceUntilMs] : [])];
  }

  /** All state of its own, for simulators. */
  snapshot(): { readonly [key: string]: Json } {
    const { seen, unseenBecause } = this;
    const sources = [...this.sources].map(([name, { lastSeenMs, countedFromMs }]) => ({ name, lastSeenMs, countedFromMs }));
    return {
      ...{ startedMs: this.#startedMs, graceUntilMs: this.#graceUntilMs, freshSinceMs: this.#freshSinceMs },
      ...{
        seen,
        unseenBecause,
        pauses: [...this.#pauses].map((pause) => [...pause]),
        times: { ...this.times, detector: { ...this.times.detector } },
        sources,
      },
    };
  }

  #inGrace(nowMs: number): boolean {
    return this.#startedMs === null || nowMs < this.#graceUntilMs;
  }

  #watches(): readonly LifeWatch[] {
    return [...this.#links.map(({ watch }) => watch), ...this.sources.values()];
  }
}
