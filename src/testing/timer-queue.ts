/** A timer that waits in a {@link VirtualClock}. */
export interface WaitingTimer {
  readonly dueMs: number;
  /** Counts up with each timer that is set. */
  readonly order: number;
  /** Whose it is. */
  readonly label: string;
  /** @internal */
  readonly fire: () => void;
}

interface Entry extends WaitingTimer {
  removed: boolean;
}

/** Timers in the order of their due time, then in the order they were set: a binary heap. Removed ones leave when they come to the top. */
export class TimerQueue {
  #heap: Entry[] = [];
  #order = 0;
  #size = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  add(dueMs: number, fire: () => void, label: string): WaitingTimer {
    const entry: Entry = { dueMs, order: this.#order++, fire, label, removed: false };
    this.#heap.push(entry);
    this.#rise(this.#heap.length - 1);
    this.#size += 1;
    return entry;
  }

  /** Harmless for one that is gone. */
  remove(timer: WaitingTimer): void {
    const entry = timer as Entry;
    if (entry.removed) return;
    entry.removed = true;
    this.#size -= 1;
    // Most timers are deadlines that are taken back: they must not pile up.
    if (this.#heap.length > 2 * this.#size + 64) this.#rebuild();
  }

  /** The next one. */
  first(): WaitingTimer | undefined {
    for (let top = this.#heap[0]; top?.removed; top = this.#heap[0]) this.#pop();
    return this.#heap[0];
  }

  /** All that wait, in order. */
  sorted(): readonly WaitingTimer[] {
    return this.#heap.filter(({ removed }) => !removed).sort(compare);
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (!last || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #rebuild(): void {
    // A sorted array is a heap.
    this.#heap = this.#heap.filter(({ removed }) => !removed).sort(compare);
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const entry = heap[from]!;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (compare(heap[above]!, entry) <= 0) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = entry;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const entry = heap[from]!;
    let at = from;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && compare(heap[below + 1]!, heap[below]!) < 0) below += 1;
      if (compare(entry, heap[below]!) <= 0) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = entry;
  }
}

function compare(one: WaitingTimer, other: WaitingTimer): number {
  return one.dueMs - other.dueMs || one.order - other.order;
}
