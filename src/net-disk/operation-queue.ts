import type { Operation } from './client-operation.ts';

/** From where on the part of the array that is not used any more is given back. */
const leastShrink = 1024;

/** Operations that wait for their turn, in order. */
export class OperationQueue {
  /** Null: has had its turn. */
  #operations: (Operation | null)[] = [];
  #first = 0;

  get size(): number {
    return this.#operations.length - this.#first;
  }

  get first(): Operation | null {
    return this.#operations[this.#first] ?? null;
  }

  push(operation: Operation): void {
    this.#operations.push(operation);
  }

  shift(): void {
    this.#operations[this.#first] = null;
    this.#first += 1;
    if (this.#first < leastShrink || this.#first < this.#operations.length / 2) return;
    this.#operations = this.#operations.slice(this.#first);
    this.#first = 0;
  }

  /** What waits; from now on `operations` do. */
  replaceBy(operations: readonly Operation[]): readonly Operation[] {
    const waiting = this.#operations.filter((operation) => operation !== null);
    this.#operations = [...operations];
    this.#first = 0;
    return waiting;
  }
}
