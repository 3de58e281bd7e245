import { HotMirrorError } from '../errors.ts';

/** What a source has to say of its stream at one moment. */
export interface StreamProgress {
  /** Something was sent that the target has not confirmed. */
  readonly outstanding: boolean;
  /** Counts the confirmations so far. */
  readonly confirmations: number;
}

/**
 * Notices a target that answers probes and confirms nothing, as one does whose disk hangs without an error: it must not stall the service for ever. It looks
 * now and then, so a stall is noticed at the first look after the deadline.
 */
export class AckWatch {
  readonly #deadlineMs: number;
  #confirmations = 0;
  #sinceMs: number | null = null;
  #waitedMs = 0;

  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  /** How long the target had confirmed nothing at the last look, though something was sent. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** Whether the target has stalled by now, as the error that ends the connection; null: it has not. After a pause of this node (`late`) it counts anew (rule watch.pause). */
  look({ outstanding, confirmations }: StreamProgress, nowMs: number, late: boolean): HotMirrorError | null {
    if (!outstanding || late || this.#sinceMs === null || confirmations !== this.#confirmations) this.#sinceMs = nowMs;
    this.#confirmations = confirmations;
    this.#waitedMs = nowMs - this.#sinceMs;
    if (this.#waitedMs <= this.#deadlineMs) return null;
    const waited = `${String(Math.round(this.#waitedMs))} ms`;
    return new HotMirrorError('HM_TARGET_STALLED', `the target has confirmed or answered nothing for ${waited}`, {
      rule: 'write.both',
    });
  }
}
