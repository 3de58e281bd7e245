import type { DiskChange } from '../watcher.ts';
import { sectorBytes, sectorsOf } from './sectors.ts';

/** Elements are compared as a whole in pieces of this many bytes. */
const pieceBytes = 65_536;

type Range = Pick<DiskChange, 'offsetBytes' | 'lengthBytes'>;

/** Where the two elements of a mirror differ, kept by looking again at what has changed only. */
export class DifferingSectors {
  readonly #differing = new Set<number>();
  #changed: Range[] = [];
  #everything = true;

  /** Something changed on one of the elements. */
  changed(range: Range): void {
    this.#changed.push(range);
  }

  /** Anything may have changed. */
  doubt(): void {
    this.#everything = true;
  }

  /** There may be a difference, as far as is known without looking again. */
  get possible(): boolean {
    return this.#everything || this.#changed.length > 0 || this.#differing.size > 0;
  }

  /** Looks again; whether there was anything to look at. */
  update(alpha: Uint8Array, beta: Uint8Array): boolean {
    if (!this.#everything && this.#changed.length === 0) return false;
    const changed = this.#everything ? [{ offsetBytes: 0, lengthBytes: Math.min(alpha.byteLength, beta.byteLength) }] : this.#changed;
    const [mine, theirs] = [bufferOf(alpha), bufferOf(beta)];
    for (const { offsetBytes, lengthBytes } of changed) {
      const endBytes = offsetBytes + lengthBytes;
      for (let at = offsetBytes; at < endBytes; at += pieceBytes)
        this.#compare(mine, theirs, { offsetBytes: at, lengthBytes: Math.min(pieceBytes, endBytes - at) });
    }
    this.#everything = false;
    this.#changed = [];
    return true;
  }

  /** Numbers of sectors. */
  get sectors(): ReadonlySet<number> {
    return this.#differing;
  }

  #compare(mine: Buffer, theirs: Buffer, range: Range): void {
    const endBytes = range.offsetBytes + range.lengthBytes;
    const { first, count } = sectorsOf(range);
    if (mine.compare(theirs, range.offsetBytes, endBytes, range.offsetBytes, endBytes) === 0) {
      if (this.#differing.size > 0) for (let sector = first; sector < first + count; sector += 1) this.#differing.delete(sector);
      return;
    }
    for (let sector = first; sector < first + count; sector += 1) {
      const [from, to] = [sector * sectorBytes, (sector + 1) * sectorBytes];
      if (mine.compare(theirs, from, to, from, to) === 0) this.#differing.delete(sector);
      else this.#differing.add(sector);
    }
  }
}

function bufferOf(contents: Uint8Array): Buffer {
  return Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength);
}
