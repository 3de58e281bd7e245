import type { Clock } from '../clock/clock.ts';
import type { EventBase } from '../events.ts';

/** What an event says, besides when. */
type News = Omit<EventBase, 'atMs'>;

/** What a {@link Repeats} needs. */
export interface RepeatsOptions {
  readonly clock: Clock;
  /** Takes what is to be told. */
  readonly tell: (event: string, news: News) => void;
}

/** What each attempt to connect tells, whether or not it finds anything new. */
const ofAttempts: ReadonlySet<string> = new Set(['link:connected', 'link:refused', 'lineage:decided', 'frame:rejected']);
/** Whatever follows says whether this one led to anything. */
const opening = 'link:connected';
/** When a finding that goes on is told again, with its count; twice as long each time, up to the longest. */
const firstPauseMs = 60_000;
const longestPauseMs = 3_600_000;
/** Findings that are told apart at once; more are told as if they were new. */
const mostFindings = 32;

/** Something that attempts find. */
interface Finding {
  readonly event: string;
  news: News;
  /** Since when, and how often, it was found and not told. */
  countedFromMs: number;
  repeats: number;
  pauseMs: number;
}

/**
 * Tells what attempts to connect find when it is new, and then now and then, with a count: a mirror or a monitor link that is refused again and again tries for ever, and would fill the log. Every other event is
 * told, and what attempts find after it is new again. That two findings alternate is told once in a minute.
 */
export class Repeats {
  readonly #options: RepeatsOptions;
  readonly #findings = new Map<string, Finding>();
  /** By event and class, what was found last. */
  readonly #last = new Map<string, Finding>();
  /** A connection that was not told, for those before led to nothing new. */
  #held: Finding | null = null;

  constructor(options: RepeatsOptions) {
    this.#options = options;
  }

  /** Takes an event. */
  heard(event: string, news: News): void {
    if (ofAttempts.has(event)) this.#found(event, news);
    else {
      this.flush();
      this.#tellHeld();
      this.#options.tell(event, news);
    }
  }

  /** Tells what has been counted and not told, and takes everything for new from here on. */
  flush(): void {
    const held = this.#held;
    // It led to something, and is told by itself.
    if (held) held.repeats -= 1;
    for (const finding of this.#findings.values()) if (finding.repeats > 0) this.#tellAgain(finding);
    this.#findings.clear();
    this.#last.clear();
  }

  #found(event: string, news: News): void {
    const key = JSON.stringify([event, news.class, news.rule, news.text]);
    const kind = `${event} ${String(news.class)}`;
    const known = this.#findings.get(key);
    if (known) this.#repeated(known, news, this.#last.get(kind) !== known);
    else this.#isNew(key, event, news);
    const found = this.#findings.get(key);
    if (found) this.#last.set(kind, found);
  }

  #isNew(key: string, event: string, news: News): void {
    if (this.#findings.size >= mostFindings) this.flush();
    else if (this.#held) this.#held.repeats -= 1;
    this.#tellHeld();
    this.#findings.set(key, { event, news, countedFromMs: this.#options.clock.nowMs(), repeats: 0, pauseMs: firstPauseMs });
    this.#options.tell(event, news);
  }

  #repeated(finding: Finding, news: News, changed: boolean): void {
    finding.news = news;
    finding.repeats += 1;
    const sinceMs = this.#options.clock.nowMs() - finding.countedFromMs;
    this.#held = null;
    if (sinceMs >= (changed ? firstPauseMs : finding.pauseMs)) this.#tellAgain(finding);
    else if (finding.event === opening) this.#held = finding;
  }

  #tellHeld(): void {
    const held = this.#held;
    this.#held = null;
    if (held) this.#options.tell(held.event, held.news);
  }

  #tellAgain(finding: Finding): void {
    const { event, news, repeats } = finding;
    const nowMs = this.#options.clock.nowMs();
    const seconds = ((nowMs - finding.countedFromMs) / 1_000).toFixed(1);
    const text = `${news.text} (again, ${repeats === 1 ? 'once' : `${String(repeats)} times`} in ${seconds} s)`;
    this.#options.tell(event, { ...news, text, evidence: { ...news.evidence, repeats } });
    finding.countedFromMs = nowMs;
    finding.repeats = 0;
    finding.pauseMs = Math.min(longestPauseMs, 2 * finding.pauseMs);
  }
}
