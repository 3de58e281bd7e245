/** Bytes that one entry of the activity log covers. */
export const regionBytes = 4_194_304;

interface Region {
  /** Writes issued and not yet finished. */
  unfinished: number;
  /** Number of the last write issued to it. */
  lastIssue: number;
}

/**
 * The activity log (rule write.intent): the regions in which the elements may differ because writes are, or lately were, under way.
 * This is its state in memory; the element's metadata holds the durable copy, and a region counts only once it is in there.
 */
export class ActivityLog {
  readonly capacity: number;
  readonly #regions = new Map<number, Region>();
  #issues = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Durable regions, in order. */
  get regions(): readonly number[] {
    return [...this.#regions.keys()].sort((a, b) => a - b);
  }

  has(region: number): boolean {
    return this.#regions.has(region);
  }

  get free(): number {
    return this.capacity - this.#regions.size;
  }

  /** Whether all regions of a range are durable. */
  covers(offsetBytes: number, lengthBytes: number): boolean {
    const last = lastRegion(offsetBytes, lengthBytes);
    for (let region = firstRegion(offsetBytes); region <= last; region += 1) if (!this.#regions.has(region)) return false;
    return true;
  }

  /** The durable copy holds these now. */
  add(regions: Iterable<number>): void {
    for (const region of regions) if (!this.#regions.has(region)) this.#regions.set(region, { unfinished: 0, lastIssue: 0 });
  }

  /** The durable copy no longer holds these. */
  drop(regions: Iterable<number>): void {
    for (const region of regions) this.#regions.delete(region);
  }

  /** A write to the range is issued. Its regions stay until it is finished and flushed. */
  issued(offsetBytes: number, lengthBytes: number): void {
    this.#issues += 1;
    const last = lastRegion(offsetBytes, lengthBytes);
    for (let number = firstRegion(offsetBytes); number <= last; number += 1) {
      const region = this.#regions.get(number);
      if (!region) throw new Error(`write.intent: region ${String(number)} is not in the activity log`);
      region.unfinished += 1;
      region.lastIssue = this.#issues;
    }
  }

  /** A write to the range is finished on every element that it was issued to, or given up as dirty. */
  finished(offsetBytes: number, lengthBytes: number): void {
    const last = lastRegion(offsetBytes, lengthBytes);
    for (let number = firstRegion(offsetBytes); number <= last; number += 1) {
      const region = this.#regions.get(number);
      if (region) region.unfinished -= 1;
    }
  }

  /** Begins a checkpoint: flushes issued from now on cover every write of the regions without unfinished writes. Regions in `keep` are not to leave. */
  checkpoint(keep: ReadonlySet<number> = new Set()): Checkpoint {
    const issues = this.#issues;
    const idle = [...this.#regions].filter(([number, region]) => region.unfinished === 0 && !keep.has(number)).map(([number]) => number);
    return {
      candidates: idle.length,
      quiet: () => idle.filter((number) => (this.#regions.get(number)?.lastIssue ?? Infinity) <= issues),
    };
  }
}

/** What a checkpoint may drop. */
export interface Checkpoint {
  /** Regions without unfinished writes when it began. */
  readonly candidates: number;
  /** Those of them that no write came to since: after the flushes they may leave the log. */
  quiet(): readonly number[];
}

function firstRegion(offsetBytes: number): number {
  return Math.floor(offsetBytes / regionBytes);
}

function lastRegion(offsetBytes: number, lengthBytes: number): number {
  return Math.floor((offsetBytes + Math.max(1, lengthBytes) - 1) / regionBytes);
}

/** The regions that a range of bytes touches. */
export function regionsOf(offsetBytes: number, lengthBytes: number): readonly number[] {
  const first = firstRegion(offsetBytes);
  return Array.from({ length: lastRegion(offsetBytes, lengthBytes) - first + 1 }, (_, at) => first + at);
}
