/** Memory that a connection reads into, or replies from. Whoever has bytes in it that are still needed counts as a user. */
export interface Chunk {
  readonly bytes: Uint8Array;
  users: number;
}

/** Chunks of one size for many connections, kept for the next who needs one: the last given back first, for it is still in the caches. */
export class ChunkPool {
  readonly chunkBytes: number;
  readonly #kept: Chunk[] = [];
  readonly #mostKept: number;

  constructor({ chunkBytes, keptBytes }: { readonly chunkBytes: number; readonly keptBytes: number }) {
    this.chunkBytes = chunkBytes;
    this.#mostKept = Math.floor(keptBytes / chunkBytes);
  }

  take(): Chunk {
    return this.#kept.pop() ?? { bytes: Buffer.allocUnsafeSlow(this.chunkBytes), users: 0 };
  }

  /** Nobody uses it any more. */
  give(chunk: Chunk): void {
    if (this.#kept.length < this.#mostKept) this.#kept.push(chunk);
  }
}
