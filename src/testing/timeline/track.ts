import type { LookName } from './looks.ts';
import type { TimelineSpan } from './model.ts';

interface OpenSpan {
  readonly fromMs: number;
  readonly look: LookName;
  readonly label: string;
  readonly entry: number;
  readonly progress: [number, number][];
}

/** Follows one state through time. */
export class Track {
  readonly #spans: TimelineSpan[] = [];
  #open: OpenSpan | null = null;

  /** The state now; null for none. */
  get look(): LookName | null {
    return this.#open?.look ?? null;
  }

  /** Another state, or the same one again, which changes nothing. Null: there is none any more. */
  set(atMs: number, look: LookName | null, label: string, entry: number): void {
    if (this.#open && this.#open.look === look && this.#open.label === label) return;
    this.close(atMs);
    if (look !== null) this.#open = { fromMs: atMs, look, label, entry, progress: [] };
  }

  /** How far it is, for a state that has an end. */
  progress(atMs: number, fraction: number): void {
    this.#open?.progress.push([atMs, fraction]);
  }

  /** What was open ended badly: it becomes another state from its beginning. */
  fail(atMs: number, look: LookName): void {
    if (this.#open) this.#open = { ...this.#open, look };
    this.close(atMs);
  }

  /** There is no state any more. A state that did not last is left out. */
  close(atMs: number): void {
    const open = this.#open;
    this.#open = null;
    if (!open || open.fromMs >= atMs) return;
    const { progress, ...span } = open;
    this.#spans.push({ ...span, toMs: atMs, ...(progress.length > 0 ? { progress } : {}) });
  }

  /** All of it; what is open ends at the end of the timeline. */
  spans(endMs: number): readonly TimelineSpan[] {
    this.close(endMs);
    return this.#spans;
  }
}
