/** A run of extents: first and how many. */
export interface ExtentRun {
  readonly first: number;
  readonly count: number;
}

const bitsPerByte = 8;
const allBits = 0xff;

/** How many bits are set in each byte. */
const bitCounts = Uint8Array.from({ length: allBits + 1 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
});

/**
 * Which extents of a disk differ, or may differ, from the peer's element: one bit an extent.
 */
export class DirtyMap {
  readonly extentBytes: number;
  readonly extents: number;
  readonly #bits: Uint8Array;
  #count = 0;

  constructor(sizeBytes: number, extentBytes: number) {
    this.extentBytes = extentBytes;
    this.extents = Math.ceil(sizeBytes / extentBytes);
    this.#bits = new Uint8Array(Math.ceil(this.extents / bitsPerByte));
  }

  /** Extents marked. */
  get count(): number {
    return this.#count;
  }

  has(extent: number): boolean {
    return (((this.#bits[extent >>> 3] ?? 0) >>> (extent & 7)) & 1) === 1;
  }

  /** Marks one extent; returns whether it was clean before. */
  mark(extent: number): boolean {
    if (extent < 0 || extent >= this.extents || this.has(extent)) return false;
    this.#bits[extent >>> 3] = (this.#bits[extent >>> 3] ?? 0) | (1 << (extent & 7));
    this.#count += 1;
    return true;
  }

  /** Clears one extent; returns whether it was marked before. */
  clear(extent: number): boolean {
    if (extent < 0 || extent >= this.extents || !this.has(extent)) return false;
    this.#bits[extent >>> 3] = (this.#bits[extent >>> 3] ?? 0) & ~(1 << (extent & 7));
    this.#count -= 1;
    return true;
  }

  /** Marks every extent that a range of bytes touches. */
  markRange(offsetBytes: number, lengthBytes: number): void {
    if (lengthBytes <= 0) return;
    const last = Math.floor((offsetBytes + lengthBytes - 1) / this.extentBytes);
    for (let extent = Math.floor(offsetBytes / this.extentBytes); extent <= last; extent += 1) this.mark(extent);
  }

  /** Marks a run of extents, as far as the disk has them. */
  markRun(first: number, count: number): void {
    for (let extent = first; extent < Math.min(first + count, this.extents); extent += 1) this.mark(extent);
  }

  /** Marks a range as {@link DirtyMap.markRange} does; gives its extents. */
  markedRange(offsetBytes: number, lengthBytes: number): readonly number[] {
    this.markRange(offsetBytes, lengthBytes);
    if (lengthBytes <= 0) return [];
    const first = Math.floor(offsetBytes / this.extentBytes);
    const end = Math.ceil((offsetBytes + lengthBytes) / this.extentBytes);
    return Array.from({ length: end - first }, (_, at) => first + at);
  }

  markAll(): void {
    this.#bits.fill(allBits);
    const last = this.#bits.length - 1;
    if (last >= 0) this.#bits[last] = this.#meaning(last);
    this.#count = this.extents;
  }

  clearAll(): void {
    this.#bits.fill(0);
    this.#count = 0;
  }

  /** The first marked extent at or after `from`, or -1. */
  next(from: number): number {
    for (let extent = from; extent < this.extents;) {
      const byte = this.#bits[extent >>> 3] ?? 0;
      if (byte === 0) {
        extent = ((extent >>> 3) + 1) * bitsPerByte;
      } else if (this.has(extent)) {
        return extent;
      } else {
        extent += 1;
      }
    }
    return -1;
  }

  /** All marked extents as runs, in order. */
  *runs(): Generator<ExtentRun> {
    for (let first = this.next(0); first >= 0;) {
      let end = first + 1;
      while (end < this.extents && this.has(end)) end += 1;
      yield { first, count: end - first };
      first = this.next(end);
    }
  }

  /** The bytes that hold the bits from `fromByte` on, for storing; a view, valid until the map changes. */
  bytes(fromByte: number, lengthBytes: number): Uint8Array {
    return this.#bits.subarray(fromByte, Math.min(fromByte + lengthBytes, this.#bits.length));
  }

  /** Marks what stored bytes say, in addition to what is marked already. */
  include(fromByte: number, stored: Uint8Array): void {
    const end = Math.min(stored.length, this.#bits.length - fromByte);
    for (let at = 0; at < end; at += 1) {
      const before = this.#bits[fromByte + at] ?? 0;
      const added = (stored[at] ?? 0) & ~before & this.#meaning(fromByte + at);
      if (added === 0) continue;
      this.#bits[fromByte + at] = before | added;
      this.#count += bitCounts[added] ?? 0;
    }
  }

  /** The bits of a byte that stand for extents. */
  #meaning(byte: number): number {
    const left = this.extents - byte * bitsPerByte;
    return left >= bitsPerByte ? allBits : (1 << left) - 1;
  }
}
