import { compareEpochs } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';

/** The pair's epoch as a node knows it; it may rise at any time. */
export class KnownEpoch {
  epoch: Epoch;
  /** An epoch of the same number and another owner, as it was heard of. */
  rival: Epoch | null = null;

  constructor(epoch: Epoch) {
    this.epoch = epoch;
  }

  /** Two owners hold this epoch (rule boot.conflict): a split brain, until a higher one is known. */
  get disputed(): boolean {
    return this.rival !== null && compareEpochs(this.rival, this.epoch) === 'conflict';
  }

  /** The other owner's epoch, also where it is the element's own, durable one that conflicts; null: there is none. */
  rivalOf(durable: Epoch): Epoch | null {
    if (this.disputed) return this.rival;
    return compareEpochs(this.epoch, durable) === 'conflict' ? this.epoch : null;
  }
}
