import type { NodeName } from '../steps.ts';
import type { ApplicationRequest } from '../watcher.ts';
import { digestsOf, sectorBytes, zeroDigest } from './sectors.ts';

/** One write as one sector saw it. */
export interface SectorWrite {
  /** Place in the order of all writes to this sector; 0 is what it held at the beginning. */
  readonly number: number;
  /** The id of the request; 0 for the beginning. */
  readonly id: number;
  /** Where it was issued; null for the beginning. */
  readonly node: NodeName | null;
  readonly issuedAt: number;
  readonly digest: number;
}

/** Writes of one sector that are remembered, so that a long run does not grow for ever. */
const rememberedWrites = 512;

/** The writes of one sector, in the order of issue: overlapping requests take effect in it (rule write.order). */
export class SectorHistory {
  readonly sector: number;
  #writes: SectorWrite[] = [{ number: 0, id: 0, node: null, issuedAt: 0, digest: zeroDigest }];
  readonly #byDigest = new Map<number, SectorWrite[]>([[zeroDigest, [...this.#writes]]]);
  #issued = 0;

  constructor(sector: number) {
    this.sector = sector;
  }

  /** A write is issued. */
  add(request: ApplicationRequest, digest: number): SectorWrite {
    this.#issued += 1;
    const write = { number: this.#issued, id: request.id, node: request.node, issuedAt: request.issuedAt, digest };
    this.#writes.push(write);
    const alike = this.#byDigest.get(digest);
    if (alike) alike.push(write);
    else this.#byDigest.set(digest, [write]);
    if (this.#writes.length > 2 * rememberedWrites) this.#forget();
    return write;
  }

  /** Every write that left this content, oldest first; empty for content that nobody wrote here. */
  candidates(digest: number): readonly SectorWrite[] {
    return this.#byDigest.get(digest) ?? [];
  }

  /** The id of the request that made this write; 0 where it is the beginning or forgotten. */
  idOf(number: number): number {
    const oldest = this.#writes[0]?.number ?? 0;
    return this.#writes[number - oldest]?.id ?? 0;
  }

  #forget(): void {
    const forgotten = this.#writes.splice(0, this.#writes.length - rememberedWrites);
    for (const { digest, number } of forgotten) {
      const left = (this.#byDigest.get(digest) ?? []).filter((write) => write.number > number);
      if (left.length > 0) this.#byDigest.set(digest, left);
      else this.#byDigest.delete(digest);
    }
  }
}

/** The writes of one mirror, sector by sector. */
export class WriteHistory {
  readonly #sectors = new Map<number, SectorHistory>();

  /** A write is issued; what it is to each sector, in their order. */
  issue(request: ApplicationRequest): readonly SectorWrite[] {
    const first = request.offsetBytes / sectorBytes;
    return digestsOf(request).map((digest, at) => this.at(first + at).add(request, digest));
  }

  /** The history of a sector. */
  at(sector: number): SectorHistory {
    let history = this.#sectors.get(sector);
    if (!history) {
      history = new SectorHistory(sector);
      this.#sectors.set(sector, history);
    }
    return history;
  }

  /** Every sector that somebody asked to write. */
  get sectors(): ReadonlyMap<number, SectorHistory> {
    return this.#sectors;
  }
}
