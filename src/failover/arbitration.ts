import type { Arbiter, GrantAnswer } from '../arbiter/arbiter.ts';
import type { Clock } from '../clock/clock.ts';
import type { Epoch } from '../epoch.ts';
import { compareEpochs, formatEpoch, highestEpoch } from '../epoch.ts';
import { within } from '../clock/within.ts';

/** What an arbiter answered, or that there is no answer. */
export type Arbitrated = { readonly granted: true } | { readonly granted: false; readonly because: string; readonly unknown: boolean };

/** Epochs that an arbiter may lag behind; it is brought up one by one. */
const maxLag = 1_000;

/** The arbiter as the orchestrator asks it: limited in time, brought up where it lags, and an unclear answer asked for again (rule `arbiter.cas`). */
export class Arbitration {
  readonly #arbiter: Arbiter | null;
  readonly #clock: Clock;
  readonly #deadlineMs: number;

  constructor(arbiter: Arbiter | null, clock: Clock, deadlineMs: number) {
    this.#arbiter = arbiter;
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
  }

  /** Whether there is an arbiter at all. */
  get present(): boolean {
    return this.#arbiter !== null;
  }

  /**
   * Whether it grants without a person. A person is asked only where a node is to serve without the other's word, and never to repeat what the pair
   * has recorded.
   */
  get automatic(): boolean {
    return this.#arbiter?.capabilities.automatic ?? false;
  }

  async current(): Promise<'none' | 'unreachable' | Epoch> {
    if (!this.#arbiter) return 'none';
    return this.#ask((arbiter, signal) => arbiter.current(signal)).catch(() => 'unreachable' as const);
  }

  /**
   * Asks for `next`. The arbiter must stand at `carried` or below: at most what this node durably knows. Below, it lags and is told first, which only
   * repeats what the pair has recorded. `above` lets the arbiter stand higher, for a node whose right does not come from the arbiter.
   */
  async grant(carried: Epoch, next: Epoch, options: { readonly above: boolean } = { above: false }): Promise<Arbitrated> {
    const current = await this.current();
    if (typeof current === 'string') return { granted: false, because: 'the arbiter cannot be asked', unknown: true };
    if (compareEpochs(current, next) === 'equal') return { granted: true };
    const beyond = current.number > carried.number || compareEpochs(current, carried) === 'conflict';
    if (current.number >= next.number || (beyond && !options.above)) return refused(`its epoch is ${formatEpoch(current)}`);
    if (next.number - current.number > maxLag) return refused(`it lags by more than ${String(maxLag)} epochs: ${formatEpoch(current)}`);
    return this.#advance(this.automatic ? current : highestEpoch([current, carried]), carried, next);
  }

  /** Tells a lagging arbiter the epoch that this node has durably recorded. */
  bringUp(recorded: Epoch): Promise<Arbitrated> {
    return this.grant(recorded, recorded);
  }

  /** Whether the grant is no longer this node's: handed back now, or never given. */
  async handBack(granted: Epoch, earlier: Epoch): Promise<boolean> {
    try {
      const answer = await this.#ask((arbiter, signal) => arbiter.handBack(granted, earlier, signal));
      return answer.granted || compareEpochs(answer.current, granted) !== 'equal';
    } catch {
      return false;
    }
  }

  async #advance(from: Epoch, carried: Epoch, next: Epoch): Promise<Arbitrated> {
    let at = from;
    while (at.number < next.number) {
      const number = at.number + 1;
      const to = number === next.number ? next : { number, owner: number <= carried.number ? carried.owner : next.owner };
      const answer = await this.#grantOnce(at, to);
      if (!answer) return { granted: false, because: 'the arbiter did not answer', unknown: true };
      if (!answer.granted) return refused(`${answer.because}; its epoch is ${formatEpoch(answer.current)}`);
      at = to;
    }
    return { granted: true };
  }

  /** An answer that is lost may have been a grant: asked again. Null: still unknown. */
  async #grantOnce(from: Epoch, to: Epoch): Promise<GrantAnswer | null> {
    try {
      return await this.#ask((arbiter, signal) => arbiter.grant(from, to, signal));
    } catch {
      const current = await this.current();
      return typeof current !== 'string' && compareEpochs(current, to) === 'equal' ? { granted: true, epoch: to } : null;
    }
  }

  #ask<T>(question: (arbiter: Arbiter, signal: AbortSignal) => Promise<T>): Promise<T> {
    const arbiter = this.#arbiter;
    if (!arbiter) return Promise.reject(new TypeError('there is no arbiter'));
    return within(this.#clock, { deadlineMs: this.#deadlineMs, code: 'HM_CONNECT_FAILED', what: 'the arbiter' }, (signal) =>
      question(arbiter, signal),
    );
  }
}

function refused(because: string): Arbitrated {
  return { granted: false, because, unknown: false };
}
