import { copyOf } from '../bytes.ts';

/** A change that a server has completed. */
export interface Change {
  readonly kind: 'write' | 'zeroes' | 'trim';
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** What was written; null for zeroes and trims. */
  readonly bytes: Uint8Array | null;
  readonly fua: boolean;
  readonly noHole: boolean;
}

/**
 * What a server has completed and no flush covers yet, in order: one that was started anew may have lost it. What is durable by itself (FUA) is among it without its bytes,
 * for what was written in the same place before must not be written again.
 */
export class UnflushedWrites {
  #changes: Change[] = [];
  #bytes = 0;
  /** How many ever came in. */
  #kept = 0;

  /** How much memory it takes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many changes it holds. */
  get count(): number {
    return this.#changes.length;
  }

  /** What a flush that is asked for now covers. */
  mark(): number {
    return this.#kept;
  }

  completed({ kind, offsetBytes, lengthBytes, bytes, fua, noHole }: Change): void {
    if (fua && this.#changes.length === 0) return;
    const kept = fua || !bytes ? null : copyOf(bytes);
    this.#changes.push({ kind, offsetBytes, lengthBytes, bytes: kept, fua, noHole });
    this.#bytes += kept?.byteLength ?? 0;
    this.#kept += 1;
  }

  /** A flush that was asked for at this mark is done. */
  flushed(mark: number): void {
    const oldest = this.#kept - this.#changes.length;
    const covered = this.#changes.splice(0, Math.max(0, mark - oldest));
    for (const { bytes } of covered) this.#bytes -= bytes?.byteLength ?? 0;
  }

  /** What is to be done again where the server may have lost it; it stays here until a flush covers it. */
  toRepeat(): readonly Change[] {
    return whatMayBeLost(this.#changes);
  }
}

type Range = readonly [start: number, end: number];

/** Of completed changes, oldest first, what is neither durable by itself nor changed since: pieces that don't overlap, oldest first. */
export function whatMayBeLost(changes: readonly Change[]): readonly Change[] {
  const newer: Range[] = [];
  const pieces: Change[] = [];
  for (const change of changes.toReversed()) {
    const { offsetBytes, lengthBytes, bytes, fua } = change;
    const uncovered = cover(newer, offsetBytes, offsetBytes + lengthBytes);
    if (fua) continue;
    for (const [start, end] of uncovered.toReversed()) {
      const piece = bytes?.subarray(start - offsetBytes, end - offsetBytes) ?? null;
      pieces.push({ ...change, offsetBytes: start, lengthBytes: end - start, bytes: piece });
    }
  }
  return pieces.reverse();
}

/** Adds a range to sorted ones that don't touch; gives what of it they did not hold. */
function cover(covered: Range[], start: number, end: number): readonly Range[] {
  const first = firstEndingFrom(covered, start);
  const gaps: Range[] = [];
  let [at, from, mergedStart, mergedEnd] = [first, start, start, end];
  for (let range = covered[at]; range && range[0] <= end; range = covered[at]) {
    if (from < range[0]) gaps.push([from, range[0]]);
    from = Math.max(from, range[1]);
    mergedStart = Math.min(mergedStart, range[0]);
    mergedEnd = Math.max(mergedEnd, range[1]);
    at += 1;
  }
  if (from < end) gaps.push([from, end]);
  covered.splice(first, at - first, [mergedStart, mergedEnd]);
  return gaps;
}

/** By bisection: the first of sorted ranges that ends there or later. */
function firstEndingFrom(ranges: readonly Range[], start: number): number {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ranges[middle]?.[1] ?? 0) < start) low = middle + 1;
    else high = middle;
  }
  return low;
}
