import type { Done } from '../../../src/device/block-device.ts';
import type { ErrorCode } from '../../../src/errors.ts';

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
