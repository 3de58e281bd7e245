import type { SimulationEntry } from '../entry.ts';
import type { SimulationStep } from '../steps.ts';
import type { Watcher, WatcherFactory } from '../watcher.ts';

class VerifyTrue implements Watcher {
  readonly invariant = 'verify-true';
  /** A disk had sectors that cannot be read: they may be found. */
  #unreadable = false;
  #broken: string | null = null;

  entry({ event, node, text, evidence }: SimulationEntry): void {
    if (event === 'fault:begun') {
      const step = evidence?.['step'] as SimulationStep | undefined;
      if (step?.do === 'disk' && step.fault.kind === 'unreadable') this.#unreadable = true;
    }
    if (event !== 'verify:finished' || this.#unreadable) return;
    if (evidence?.['differingBytes'] !== 0) this.#broken ??= `the verify of ${node} found what nobody spoiled: ${text}`;
  }

  check(): string | null {
    return this.#broken;
  }
}

/** A verify finds nothing where no disk fails to read: no simulated disk changes what it holds. */
export const verifyTrue: WatcherFactory = () => new VerifyTrue();
