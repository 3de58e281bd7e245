import type { Epoch } from '../epoch.ts';
import { compareEpochs, noEpoch } from '../epoch.ts';
import type { PairNode } from './pair-node.ts';

/** Tells a lagging arbiter the epoch of the record, beside everything else; every failure is tried again by a later look. */
export class ArbiterNews {
  readonly #node: PairNode;
  #busy = false;
  #known: Epoch = noEpoch;

  constructor(node: PairNode) {
    this.#node = node;
  }

  tell(): void {
    const { arbitration, record } = this.#node;
    const { epoch } = record;
    if (!arbitration.automatic || this.#busy || compareEpochs(this.#known, epoch) === 'equal') return;
    this.#busy = true;
    void arbitration.bringUp(epoch).then((answer) => {
      this.#busy = false;
      if (answer.granted) this.#known = epoch;
      this.#node.retryLater();
    });
  }

  /** It may lag again. */
  forget(): void {
    this.#known = noEpoch;
  }
}
