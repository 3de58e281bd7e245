/**
 * The blocks of a disk that cannot be read. Writing one makes it readable again; where that write is lost with the cache, the block is as bad as before.
 */
export class DiskBadBlocks {
  readonly #blockSizeBytes: number;
  readonly #unreadable = new Set<number>();
  /** Blocks that are readable only because of a change in the cache, with the position of the first such change. */
  readonly #healing = new Map<number, number>();

  constructor(blockSizeBytes: number) {
    this.#blockSizeBytes = blockSizeBytes;
  }

  /** How many blocks cannot be read now. */
  get count(): number {
    return this.#unreadable.size;
  }

  /** The blocks that this range touches can no longer be read. */
  mark(offsetBytes: number, lengthBytes: number): void {
    for (const block of this.#blocks(offsetBytes, lengthBytes)) {
      this.#unreadable.add(block);
      this.#healing.delete(block);
    }
  }

  /** Whether a read of this range fails. */
  spoil(offsetBytes: number, lengthBytes: number): boolean {
    return this.#unreadable.size > 0 && this.#blocks(offsetBytes, lengthBytes).some((block) => this.#unreadable.has(block));
  }

  /** Something was written there: into the cache, by the change of this position, or (null) durably. */
  written(offsetBytes: number, lengthBytes: number, position: number | null): void {
    if (this.#unreadable.size + this.#healing.size === 0) return;
    for (const block of this.#blocks(offsetBytes, lengthBytes)) {
      const wasUnreadable = this.#unreadable.delete(block);
      if (position === null) this.#healing.delete(block);
      else if (wasUnreadable) this.#healing.set(block, position);
    }
  }

  /** What the change of this position wrote there has reached the medium. */
  reached(offsetBytes: number, lengthBytes: number, position: number): void {
    if (this.#healing.size === 0) return;
    for (const block of this.#blocks(offsetBytes, lengthBytes)) {
      const since = this.#healing.get(block);
      if (since !== undefined && since <= position) this.#healing.delete(block);
    }
  }

  /** Power is lost: what no surviving change made readable is as it was. */
  powerLost(): void {
    for (const block of this.#healing.keys()) this.#unreadable.add(block);
    this.#healing.clear();
  }

  /** Every block can be read: it is another disk. */
  clear(): void {
    this.#unreadable.clear();
    this.#healing.clear();
  }

  #blocks(offsetBytes: number, lengthBytes: number): number[] {
    const first = Math.floor(offsetBytes / this.#blockSizeBytes);
    const end = Math.ceil((offsetBytes + lengthBytes) / this.#blockSizeBytes);
    return Array.from({ length: end - first }, (_, at) => first + at);
  }
}
