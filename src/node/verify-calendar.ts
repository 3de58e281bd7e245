import createDebug from 'debug';

import type { Clock, Timer } from '../clock/clock.ts';
import type { VerifyStatus } from './control-protocol.ts';
import type { MirrorProxy } from './mirror-proxy.ts';
import { dueMs, nextVerify, verifyBar } from './verify-due.ts';
import type { VerifyHistory } from './verify-due.ts';

/** What the calendar uses of a mirror. */
export type VerifiedMirror = Pick<MirrorProxy, 'name' | 'state' | 'onChange' | 'onEvent' | 'onDeath' | 'verify'>;

/** What a {@link VerifyCalendar} needs. */
export interface VerifyCalendarOptions {
  readonly clock: Clock;
  /** All mirrors of the node, and how long after its last verify each is verified again, in ms; null: never by the calendar. */
  readonly mirrors: readonly { readonly mirror: VerifiedMirror; readonly everyMs: number | null }[];
  /** What is known of verifies before this start. */
  readonly history: Promise<VerifyHistory>;
}

interface Entry {
  readonly mirror: VerifiedMirror;
  readonly everyMs: number | null;
  lastFinishedMs: number | null;
  /** Not before, in wall time: one that began has failed. */
  retryMs: number;
  /** One runs on it, by the calendar or by an operator. */
  running: boolean;
}

const debug = createDebug('hotmirror:verify');
/** A verify that did not come to its end is tried again after so long. */
const retryAfterMs = 300_000;

/**
 * Verifies the mirrors of which this node is the source by the calendar (rule verify), one at a time, as soon as they are due and nothing bars it. What is found is told by the
 * mirror's events and bars automatic takeover, as with a verify that an operator asks for; nothing is repaired. A verify by an operator counts too, and none begins beside it.
 */
export class VerifyCalendar {
  readonly #clock: Clock;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #stops: (() => void)[] = [];
  readonly #ended: AbortController = new AbortController();
  /** Null until the history has been read. */
  #countsFromMs: number | null = null;
  #timer: Timer | null = null;
  #run: Promise<void> | null = null;

  constructor({ clock, mirrors, history }: VerifyCalendarOptions) {
    this.#clock = clock;
    const entries = mirrors.map((each): Entry => ({ ...each, lastFinishedMs: null, retryMs: 0, running: false }));
    this.#entries = new Map(entries.map((entry) => [entry.mirror.name, entry]));
    for (const entry of entries) this.#listen(entry);
    const startedMs = clock.wallMs();
    void history.then(
      ({ oldestMs, finishedMs }) => {
        for (const entry of entries) entry.lastFinishedMs ??= finishedMs.get(entry.mirror.name) ?? null;
        this.#begin(oldestMs ?? startedMs);
      },
      () => this.#begin(startedMs),
    );
  }

  /** When the last verify of a mirror finished here and when the next is due; null where it is not verified by the calendar. */
  status(name: string): VerifyStatus | null {
    const entry = this.#entries.get(name);
    if (!entry || entry.everyMs === null) return null;
    const { lastFinishedMs, mirror, running } = entry;
    const dueAtMs = mirror.state().role === 'target' ? null : this.#dueMs(entry, entry.everyMs);
    const overdue = dueAtMs !== null && dueAtMs <= this.#clock.wallMs();
    const bar = overdue && !running ? (verifyBar(mirror.state()) ?? (this.#anyRuns ? 'another mirror is verified' : null)) : null;
    return { lastFinished: iso(lastFinishedMs), nextDue: iso(dueAtMs), ...(bar === null ? {} : { waitsFor: bar }) };
  }

  /** Ends the verify that the calendar runs, and begins none. */
  async close(): Promise<void> {
    this.#ended.abort();
    this.#timer?.cancel();
    for (const stop of this.#stops.splice(0)) stop();
    await this.#run;
  }

  get #anyRuns(): boolean {
    return this.#run !== null || [...this.#entries.values()].some(({ running }) => running);
  }

  #listen(entry: Entry): void {
    const { mirror } = entry;
    this.#stops.push(
      mirror.onChange(() => this.#look()),
      mirror.onDeath(() => (entry.running = false)),
      mirror.onEvent(({ name }) => {
        if (name === 'verify:started') entry.running = true;
        if (name !== 'verify:finished' && name !== 'verify:ended') return;
        entry.running = false;
        if (name === 'verify:finished') entry.lastFinishedMs = this.#clock.wallMs();
        this.#look();
      }),
    );
  }

  #begin(countsFromMs: number): void {
    this.#countsFromMs = countsFromMs;
    this.#look();
  }

  #dueMs({ lastFinishedMs, retryMs }: Entry, everyMs: number): number | null {
    if (this.#countsFromMs === null) return null;
    return Math.max(retryMs, dueMs(lastFinishedMs, this.#countsFromMs, everyMs, this.#clock.wallMs()));
  }

  #look(): void {
    if (this.#ended.signal.aborted || this.#countsFromMs === null) return;
    this.#timer?.cancel();
    const mirrors = [...this.#entries.values()].flatMap((entry) => {
      const due = entry.everyMs === null ? null : this.#dueMs(entry, entry.everyMs);
      return due === null ? [] : [{ name: entry.mirror.name, dueMs: due, bar: verifyBar(entry.mirror.state()) }];
    });
    if (mirrors.length === 0) return;
    const next = nextVerify(mirrors, this.#anyRuns, this.#clock.wallMs());
    const entry = 'verify' in next ? this.#entries.get(next.verify) : undefined;
    if (entry) this.#run = this.#verify(entry);
    else if ('waitMs' in next) this.#timer = this.#clock.timer(next.waitMs, () => this.#look());
  }

  async #verify(entry: Entry): Promise<void> {
    try {
      await entry.mirror.verify({ signal: this.#ended.signal });
      entry.lastFinishedMs = this.#clock.wallMs();
      entry.retryMs = 0;
    } catch (error) {
      // The mirror has told of it, where it had begun.
      debug('%s: %s', entry.mirror.name, String(error));
      entry.retryMs = this.#clock.wallMs() + retryAfterMs;
    }
    this.#run = null;
    this.#look();
  }
}

function iso(wallMs: number | null): string | null {
  return wallMs === null ? null : new Date(wallMs).toISOString();
}
