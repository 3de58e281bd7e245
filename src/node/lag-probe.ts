import type { HealthAnswer, HealthProbe } from '../heartbeat/health.ts';
import type { MirrorCounters } from '../mirror/counters.ts';
import { lagProbeName } from './health-schema.ts';

/** What the probe asks of a mirror. */
export interface LaggingMirror {
  readonly name: string;
  /** Answered by the mirror's thread. */
  counters(): Promise<Pick<MirrorCounters, 'queues'>>;
}

/** What the probe is made of. */
export interface LagProbeOptions {
  readonly mirrors: readonly LaggingMirror[];
  readonly everyMs: number;
  /** A mirror lags whose thread, or whose peer, has kept it waiting for longer. */
  readonly deadlineMs: number;
}

/**
 * Looks at the data planes: fails while the thread of a mirror answers nothing, as one does that its disk keeps, or the peer has confirmed nothing of what was sent to it, for longer than
 * the deadline. Its checks never wait; a question that is open is not asked again.
 */
export function lagProbe({ mirrors, everyMs, deadlineMs }: LagProbeOptions): HealthProbe {
  const lags = mirrors.map((mirror) => new MirrorLag(mirror, everyMs, deadlineMs));
  const check = (): Promise<HealthAnswer> => {
    const found = lags.map((lag) => lag.look());
    const failed = found.filter((text) => text !== null && text !== '');
    if (failed.length > 0) return Promise.resolve({ state: 'failed', text: failed.join('; ') });
    return Promise.resolve({ state: found.includes(null) ? 'unknown' : 'ok' });
  };
  return { name: lagProbeName, everyMs, deadlineMs, check };
}

/** What a mirror answered last. */
type Known = { readonly unconfirmedMs: number } | { readonly error: string };

class MirrorLag {
  readonly #mirror: LaggingMirror;
  readonly #everyMs: number;
  readonly #deadlineMs: number;
  #known: Known | null = null;
  #asked = false;
  /** Looks at which the question was open. Counted in looks, so that a pause of this process is not one of the thread (rule `watch.pause`). */
  #unanswered = 0;

  constructor(mirror: LaggingMirror, everyMs: number, deadlineMs: number) {
    this.#mirror = mirror;
    this.#everyMs = everyMs;
    this.#deadlineMs = deadlineMs;
  }

  /** What is wrong, in words; empty: nothing; null: it has not answered yet. */
  look(): string | null {
    if (this.#asked) this.#unanswered += 1;
    else this.#ask();
    const { name } = this.#mirror;
    const limit = `for more than ${String(this.#deadlineMs)} ms`;
    if (this.#unanswered * this.#everyMs > this.#deadlineMs) return `the thread of mirror ${name} has not answered ${limit}`;
    if (this.#known === null) return null;
    if ('error' in this.#known) return this.#known.error;
    return this.#known.unconfirmedMs > this.#deadlineMs ? `the peer has confirmed nothing of mirror ${name} ${limit}` : '';
  }

  #ask(): void {
    this.#asked = true;
    const answered = (known: Known): void => {
      this.#known = known;
      this.#asked = false;
      this.#unanswered = 0;
    };
    this.#mirror.counters().then(
      ({ queues }) => answered(queues),
      (error: unknown) => answered({ error: error instanceof Error ? error.message : String(error) }),
    );
  }
}
