import { HotMirrorError } from '../../errors.ts';
import type { InvariantName } from './watcher.ts';

/** A simulated pair broke a promise. */
export class InvariantError extends HotMirrorError {
  /** The promise. */
  readonly invariant: InvariantName;

  constructor(invariant: InvariantName, text: string, seed: number) {
    super('HM_INVARIANT', `${invariant}: ${text}`, { details: { invariant, seed } });
    this.invariant = invariant;
  }

  /** Recognises broken promises of another copy of the package too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof HotMirrorError && value.code === 'HM_INVARIANT';
  }
}
