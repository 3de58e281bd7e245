interface Waiting {
  /** Everything up to this write is applied before. */
  readonly after: number;
  readonly run: () => void;
  /** What it keeps in memory. */
  readonly bytes: number;
}

/**
 * What of the stream a target carries out now and what waits (rule write.order): nothing overtakes a barrier, nor a look at the element whose outcome
 * decides what is written. What needs neither is left to the device, which keeps the order of requests that overlap.
 */
export class ApplyOrder {
  readonly #applied: () => number;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #barrier = 0;
  #looking = false;
  #releasing = false;

  /** `applied` tells the last write before which nothing is missing on the element. */
  constructor(applied: () => number) {
    this.#applied = applied;
  }

  /** How many wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** The bytes that they keep. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What is added now runs at once. */
  get open(): boolean {
    return this.#waiting.length === 0 && !this.#looking && !this.#releasing && this.#barrier <= this.#applied();
  }

  /** What comes from now on waits until everything up to this write is applied. */
  barrier(sequence: number): void {
    this.#barrier = sequence;
  }

  /** Runs it as soon as its turn comes; now, if that is so. */
  add(run: () => void, bytes = 0): void {
    this.#bytes += bytes;
    this.#waiting.push({ after: this.#barrier, run, bytes });
    this.release();
  }

  /** Something that was begun is being decided: what is behind it waits until `looked`. */
  look(): void {
    this.#looking = true;
  }

  /** It is decided. */
  looked(): void {
    this.#looking = false;
    this.release();
  }

  /** Runs what is due. What completes at once comes back here, and is left to the loop. */
  release(): void {
    if (this.#releasing) return;
    this.#releasing = true;
    for (let next = this.#waiting[0]; next && !this.#looking && next.after <= this.#applied(); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#bytes -= next.bytes;
      next.run();
    }
    this.#releasing = false;
  }

  /** Nothing more is to be carried out. */
  clear(): void {
    this.#waiting = [];
    this.#bytes = 0;
  }
}
