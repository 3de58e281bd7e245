import type { Done } from '../../../src/device/block-device.ts';
import type { ErrorCode, HotMirrorError } from '../../../src/errors.ts';

/** Collects how requests ended, and insists that each ends once. */
export class Endings {
  readonly codes: (ErrorCode | 'done' | null)[] = [];

  next(): Done {
    const at = this.codes.push(null) - 1;
    return (error) => {
      if (this.codes[at] !== null) throw new Error(`request ${String(at)} ended twice`);
      this.codes[at] = error?.code ?? 'done';
    };
  }
}

/** How a request ended; null: not yet. */
export interface Ending {
  code: ErrorCode | 'done' | null;
}

/** Starts a request, and insists that it ends once. */
export function asked(start: (done: Done) => void): Ending {
  const ending: Ending = { code: null };
  start((error) => {
    if (ending.code !== null) throw new Error('a request ended twice');
    ending.code = error?.code ?? 'done';
  });
  return ending;
}

/** How an order ends: its code and rule, or `done`. */
export const outcome = (order: Promise<unknown>): Promise<string> =>
  order.then(
    () => 'done',
    (error: unknown) => {
      const { code, rule = 'no rule' } = error as HotMirrorError;
      return `${code} ${rule}`;
    },
  );
