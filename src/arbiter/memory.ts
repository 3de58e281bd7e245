import type { Epoch } from '../epoch.ts';
import { compareEpochs, noEpoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { Arbiter, ArbiterCapabilities, GrantAnswer } from './arbiter.ts';

/** An arbiter in memory, for tests and simulations: one object, used by both nodes, which nothing survives but the nodes. */
export class MemoryArbiter implements Arbiter {
  readonly capabilities: ArbiterCapabilities = { automatic: true };
  /** False: nobody reaches it. */
  reachable = true;
  #current: Epoch = noEpoch;

  async current(signal: AbortSignal): Promise<Epoch> {
    await this.#reach(signal);
    return this.#current;
  }

  async grant(from: Epoch, to: Epoch, signal: AbortSignal): Promise<GrantAnswer> {
    if (to.number !== from.number + 1) throw new RangeError('an epoch is granted one above the one before it');
    await this.#reach(signal);
    return this.#exchange(from, to);
  }

  async handBack(granted: Epoch, earlier: Epoch, signal: AbortSignal): Promise<GrantAnswer> {
    await this.#reach(signal);
    return this.#exchange(granted, earlier);
  }

  /** Lets go of what it holds; closing again resolves too. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  #exchange(expected: Epoch, wanted: Epoch): GrantAnswer {
    if (compareEpochs(this.#current, wanted) === 'equal') return { granted: true, epoch: wanted };
    if (compareEpochs(this.#current, expected) !== 'equal')
      return { granted: false, because: 'the epoch is another one', current: this.#current };
    this.#current = wanted;
    return { granted: true, epoch: wanted };
  }

  async #reach(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // An answer never comes inside the call.
    await Promise.resolve();
    if (!this.reachable) throw new HotMirrorError('HM_CONNECT_FAILED', 'the arbiter does not answer');
  }
}
