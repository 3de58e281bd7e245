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

  /** Two owners hold this epoch (rule boot.conflict): a split brain, until a higher one is known, or the peer shows this one. */
  get disputed(): boolean {
    return this.rival !== null && compareEpochs(this.rival, this.epoch) === 'conflict';
  }
}
