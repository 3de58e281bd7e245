import type { Clock, Timer } from '../clock/clock.ts';
import { within } from '../clock/within.ts';
import { createEmitter } from '../events.ts';
import type { Emitter } from '../events.ts';
import { healthNews, healthStates, isProbeName, maxProbes, probeText } from '../health.ts';
import type { HealthChanged, HealthState, ProbeReport } from '../health.ts';

/** What a check found. */
export interface HealthAnswer {
  readonly state: HealthState;
  /** Why, in a line; one that is long is cut at 120 characters. */
  readonly text?: string | undefined;
}

/** Something that is looked at now and then. */
export interface HealthProbe {
  /** Letters, digits, `.`, `_` and `-`, at most 64. */
  readonly name: string;
  /** From the begin of one check to that of the next, or to the end of a check that takes longer. */
  readonly everyMs: number;
  /** A check that has not ended by then has failed, and its signal is aborted. */
  readonly deadlineMs: number;
  /** One that throws has failed. It is not called again before it has ended, so one that ignores its signal stays `failed` until then. */
  readonly check: (signal: AbortSignal) => Promise<HealthAnswer>;
}

/** A probe and what it found last. */
export interface ProbeResult extends ProbeReport {
  /** How long it has been in this state. */
  readonly sinceMs: number;
}

/** Events of a {@link HealthWatch}. */
export type HealthEvents = {
  /** A probe failed, or fails no longer. */
  'health:changed': (event: HealthChanged) => void;
};

/** What a {@link HealthWatch} is made of. */
export interface HealthWatchOptions {
  /** This node's name. */
  readonly node: string;
  /** At most 16. */
  readonly probes: readonly HealthProbe[];
  readonly clock: Clock;
  /** Told what a listener of an event throws. Default: ignored. */
  readonly onListenerError?: (error: unknown) => void;
}

/** Checks that do not end by their signal are waited for no longer than this on the way out. */
const closingDeadlineMs = 3_000;
/** A deadline that is noticed later than this part of it is a pause of this process. */
const pauseAfterDeadlines = 0.5;

/**
 * Looks at what the user wants to be looked at, each probe at its pace and one check of it at a time, and keeps what each found last. It reports and does nothing else: a node
 * whose probes fail answers its peer, and goes on serving (rule `watch.all`).
 */
export class HealthWatch implements AsyncDisposable {
  readonly events: Emitter<HealthEvents>;
  readonly #node: string;
  readonly #clock: Clock;
  readonly #probes: readonly WatchedProbe[];
  #lifecycle: 'new' | 'running' | 'closed' = 'new';

  /** Throws `RangeError` for more than 16 probes, a name that is none or is there twice, and a time that is not above 0. */
  constructor({ node, probes, clock, onListenerError = () => undefined }: HealthWatchOptions) {
    checkProbes(probes);
    this.#node = node;
    this.#clock = clock;
    this.events = createEmitter<HealthEvents>(onListenerError);
    this.#probes = probes.map((probe) => new WatchedProbe(probe, clock, (before, after) => this.#tell(before, after)));
  }

  /** Begins the first check of each probe. Once only; does nothing when closed. */
  start(): void {
    if (this.#lifecycle !== 'new') return;
    this.#lifecycle = 'running';
    for (const probe of this.#probes) probe.begin();
  }

  /** What each probe found last, in their order. */
  results(): readonly ProbeResult[] {
    return this.#probes.map(({ report, changedMs }) => ({ ...report, sinceMs: this.#clock.nowMs() - changedMs }));
  }

  /** Aborts the checks that run and begins none; resolves when they have ended, or have not within three seconds. */
  async close(): Promise<void> {
    this.#lifecycle = 'closed';
    const ended = Promise.all(this.#probes.map((probe) => probe.close()));
    const limit = { deadlineMs: closingDeadlineMs, code: 'HM_REQUEST_TIMEOUT', what: 'the end of the health checks' } as const;
    await within(this.#clock, limit, () => ended).catch(() => undefined);
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #tell(before: ProbeReport, after: ProbeReport): void {
    for (const news of healthNews(this.#node, [before], [after]))
      this.events.emit('health:changed', { atMs: this.#clock.nowMs(), ...news });
  }
}

/** One probe, its checks, and what the last one found. */
class WatchedProbe {
  report: ProbeReport;
  changedMs: number;
  readonly #probe: HealthProbe;
  readonly #clock: Clock;
  readonly #told: (before: ProbeReport, after: ProbeReport) => void;
  #check: { readonly abort: AbortController; readonly ended: Promise<void> } | null = null;
  /** The deadline of the check that runs, or the begin of the next. */
  #timer: Timer | null = null;
  #closed = false;

  constructor(probe: HealthProbe, clock: Clock, told: (before: ProbeReport, after: ProbeReport) => void) {
    this.#probe = probe;
    this.#clock = clock;
    this.#told = told;
    this.report = { name: probe.name, state: 'unknown' };
    this.changedMs = clock.nowMs();
  }

  begin(): void {
    const beganMs = this.#clock.nowMs();
    const abort = new AbortController();
    this.#check = { abort, ended: this.#run(abort).then(() => this.#ended(beganMs)) };
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#check?.abort.abort();
    return this.#check?.ended ?? Promise.resolve();
  }

  /** Checks once. An answer that comes after the deadline, or after the end of the watch, is none. */
  async #run(abort: AbortController): Promise<void> {
    this.#limit(abort);
    const answer = await answerOf(this.#probe, abort.signal);
    if (abort.signal.aborted) return;
    this.#timer?.cancel();
    this.#found(answer);
  }

  #ended(beganMs: number): void {
    this.#check = null;
    if (this.#closed) return;
    this.#timer = this.#clock.timer(beganMs + this.#probe.everyMs - this.#clock.nowMs(), () => this.begin());
  }

  /** After a pause of this process a fresh deadline begins, as it does for the peer (rule `watch.pause`). */
  #limit(abort: AbortController): void {
    const { deadlineMs } = this.#probe;
    const dueMs = this.#clock.nowMs() + deadlineMs;
    this.#timer = this.#clock.timer(deadlineMs, () => {
      if (this.#clock.nowMs() - dueMs > pauseAfterDeadlines * deadlineMs) {
        this.#limit(abort);
        return;
      }
      this.#found({ state: 'failed', text: `no answer within ${String(deadlineMs)} ms` });
      abort.abort();
    });
  }

  #found({ state, text }: HealthAnswer): void {
    const before = this.report;
    const said = probeText(text ?? '');
    this.report = { name: before.name, state, ...(said === '' ? {} : { text: said }) };
    if (before.state === state) return;
    this.changedMs = this.#clock.nowMs();
    this.#told(before, this.report);
  }
}

async function answerOf({ check }: HealthProbe, signal: AbortSignal): Promise<HealthAnswer> {
  try {
    const { state, text = '' } = await check(signal);
    if (!healthStates.includes(state)) throw new TypeError(`the check answered with the state ${String(state)}`);
    return { state, text: String(text) };
  } catch (error) {
    return { state: 'failed', text: error instanceof Error ? error.message : String(error) };
  }
}

function checkProbes(probes: readonly HealthProbe[]): void {
  if (probes.length > maxProbes) throw new RangeError(`a node has at most ${String(maxProbes)} health probes`);
  if (new Set(probes.map(({ name }) => name)).size < probes.length) throw new RangeError('two health probes have the same name');
  for (const { name, everyMs, deadlineMs } of probes) {
    if (!isProbeName(name)) throw new RangeError(`a health probe cannot be called ${JSON.stringify(name)}`);
    for (const [key, value] of Object.entries({ everyMs, deadlineMs }))
      if (!(Number.isFinite(value) && value > 0)) throw new RangeError(`${key} of health probe ${name} must be above 0`);
  }
}
