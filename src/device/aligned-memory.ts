/** What of WebAssembly is used; its types belong to those of browsers. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

/** Pages of a `WebAssembly.Memory`. */
const pageBytes = 65_536;

/** A piece of memory that begins at a boundary of {@link slotBytes}. */
export interface Slot {
  readonly bytes: Buffer;
}

/** As much as one slot holds. */
export const slotBytes: number = 4 * pageBytes;

/**
 * Memory that begins where `O_DIRECT` wants it to. What Node allocates begins anywhere; the memory of WebAssembly begins at a page of the machine. Given out in slots, all of one
 * length.
 */
export class AlignedMemory {
  readonly #free: Slot[];

  constructor(slots: number) {
    const { buffer } = new WebAssembly.Memory({ initial: (slots * slotBytes) / pageBytes });
    this.#free = Array.from({ length: slots }, (_, at) => ({ bytes: Buffer.from(buffer, at * slotBytes, slotBytes) }));
  }

  /** One that nobody has; null where there is none. */
  take(): Slot | null {
    return this.#free.pop() ?? null;
  }

  give(slot: Slot): void {
    this.#free.push(slot);
  }
}
