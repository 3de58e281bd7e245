import { maxBodyBytes } from '../../../mirror/wire.ts';
import type { ApplicationRequest } from '../watcher.ts';
import { sectorBytes } from './sectors.ts';
import type { SectorWrite } from './write-history.ts';

/** What of an acknowledged write one message may have carried. */
interface Piece {
  readonly issuedAt: number;
  readonly bytes: number;
  readonly first: number;
  readonly writes: readonly SectorWrite[];
}

/**
 * What a takeover of a mirror with protocol `async` may lose: of the acknowledged writes the last, in the order of issue, that together fit into the window. Whatever is
 * on its way to the target is at the end of that order, and is no more than the window.
 */
export class AsyncTail {
  readonly #windowBytes: number;
  #boundBytes: number;
  #tail: Piece[] = [];
  #bytes = 0;
  /** By sector: the newest of its acknowledged writes that must have reached the target. */
  #safe = new Map<number, number>();

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
    this.#boundBytes = windowBytes;
  }

  /** The write that a sector has at least, whatever a takeover loses. */
  safe(sector: number): number {
    return this.#safe.get(sector) ?? 0;
  }

  /** A write is acknowledged; one that is longer than a message is several. */
  acknowledged({ offsetBytes, bytes, issuedAt }: ApplicationRequest, writes: readonly SectorWrite[]): void {
    for (let atBytes = 0; atBytes < bytes.byteLength; atBytes += maxBodyBytes) {
      const endBytes = Math.min(atBytes + maxBodyBytes, bytes.byteLength);
      const first = (offsetBytes + atBytes) / sectorBytes;
      this.#add({ issuedAt, bytes: endBytes - atBytes, first, writes: writes.slice(atBytes / sectorBytes, endBytes / sectorBytes) });
    }
    this.#keepToBound();
  }

  /** From now on nothing is acknowledged that the target lacks, and nothing is that was; or again as the window allows. */
  drained(yes: boolean): void {
    this.#boundBytes = yes ? 0 : this.#windowBytes;
    this.#keepToBound();
  }

  /** A takeover has lost what it may lose, or everything may be lost that no flush covers. */
  lost(): void {
    this.#tail = [];
    this.#bytes = 0;
  }

  /** Nothing is promised any more. */
  clear(): void {
    this.lost();
    this.#safe = new Map();
  }

  #add(piece: Piece): void {
    let at = this.#tail.length;
    while (at > 0 && (this.#tail[at - 1]?.issuedAt ?? 0) > piece.issuedAt) at -= 1;
    this.#tail.splice(at, 0, piece);
    this.#bytes += piece.bytes;
  }

  #keepToBound(): void {
    while (this.#bytes > this.#boundBytes) this.#leave();
  }

  #leave(): void {
    const oldest = this.#tail.shift();
    if (!oldest) return;
    this.#bytes -= oldest.bytes;
    oldest.writes.forEach(({ number }, at) => this.#safe.set(oldest.first + at, Math.max(this.safe(oldest.first + at), number)));
  }
}
