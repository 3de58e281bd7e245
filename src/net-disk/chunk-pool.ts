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

/**
 * What one side of a connection holds of a pool: of the chunk that it uses, what is used, and each chunk that it has left for the next one as a whole, however little of it is still needed: until that
 * is over, nobody else can have the rest.
 */
export class ChunkHold {
  readonly #pool: ChunkPool;
  #current: Chunk;
  /** Of the current chunk. */
  #usedBytes = 0;
  #leftChunks = 0;
  #closed = false;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
    this.#current = pool.take();
  }

  get current(): Chunk {
    return this.#current;
  }

  /** What counts against the window of the connection. */
  get heldBytes(): number {
    return this.#usedBytes + this.#leftChunks * this.#pool.chunkBytes;
  }

  /** One user more of the current chunk, for so many bytes of it. */
  use(lengthBytes: number): void {
    this.#current.users += 1;
    this.#usedBytes += lengthBytes;
  }

  /** A chunk for one user, beside the current one. */
  takeWhole(): Chunk {
    const chunk = this.#pool.take();
    chunk.users += 1;
    this.#leftChunks += 1;
    return chunk;
  }

  /** One user less. */
  release(chunk: Chunk, lengthBytes: number): void {
    chunk.users -= 1;
    if (chunk === this.#current) this.#usedBytes -= lengthBytes;
    else if (chunk.users === 0) this.#leftChunks -= 1;
    if (chunk.users === 0 && (chunk !== this.#current || this.#closed)) this.#pool.give(chunk);
  }

  /** Goes on in another chunk. */
  turnOver(next: Chunk): void {
    if (this.#current.users === 0) this.#pool.give(this.#current);
    else this.#leftChunks += 1;
    this.#current = next;
    this.#usedBytes = 0;
  }

  /** Nothing more is put into it. Whoever still has bytes in it is the last user. */
  close(): void {
    this.#closed = true;
    if (this.#current.users === 0) this.#pool.give(this.#current);
  }
}
