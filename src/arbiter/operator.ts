import type { Epoch } from '../epoch.ts';
import { compareEpochs, formatEpoch, noEpoch } from '../epoch.ts';
import type { Arbiter, ArbiterCapabilities, GrantAnswer } from './arbiter.ts';

/**
 * A person as the arbiter: nothing is granted that was not approved before. Each node has its own, so the person must see to it that no two
 * nodes are told to own one epoch: look at the other machine before approving.
 *
 * It knows only what was granted through it since it was made, and what the node that asks has durably recorded.
 */
export class OperatorArbiter implements Arbiter {
  readonly capabilities: ArbiterCapabilities = { automatic: false };
  #current: Epoch;
  #approved: Epoch | null = null;

  /** `initial` is the pair's epoch, as far as the person knows. */
  constructor(initial: Epoch = noEpoch) {
    this.#current = initial;
  }

  /** The person lets the owner of this epoch have it, once. A later approval replaces an earlier one. */
  approve(epoch: Epoch): void {
    if (epoch.number <= this.#current.number) throw new RangeError(`${formatEpoch(epoch)} is not above ${formatEpoch(this.#current)}`);
    this.#approved = epoch;
  }

  current(): Promise<Epoch> {
    return Promise.resolve(this.#current);
  }

  grant(from: Epoch, to: Epoch): Promise<GrantAnswer> {
    if (to.number !== from.number + 1) return Promise.reject(new RangeError('an epoch is granted one above the one before it'));
    if (compareEpochs(this.#current, to) === 'equal') return Promise.resolve({ granted: true, epoch: to });
    if (from.number > this.#current.number) this.#current = from;
    if (compareEpochs(this.#current, from) !== 'equal') return Promise.resolve(this.#refuse('the epoch is another one'));
    if (!this.#approved || compareEpochs(this.#approved, to) !== 'equal') {
      return Promise.resolve(
        this.#refuse(`an operator has to approve ${formatEpoch(to)}: make sure that no other node serves, then approve it`),
      );
    }
    this.#current = to;
    this.#approved = null;
    return Promise.resolve({ granted: true, epoch: to });
  }

  handBack(granted: Epoch, earlier: Epoch): Promise<GrantAnswer> {
    if (compareEpochs(this.#current, earlier) === 'equal') return Promise.resolve({ granted: true, epoch: earlier });
    if (compareEpochs(this.#current, granted) !== 'equal') return Promise.resolve(this.#refuse('the epoch is another one'));
    this.#current = earlier;
    return Promise.resolve({ granted: true, epoch: earlier });
  }

  /** Lets go of what it holds; closing again resolves too. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  #refuse(because: string): GrantAnswer {
    return { granted: false, because, current: this.#current };
  }
}
