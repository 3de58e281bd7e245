import { MemoryDevice } from '../../../src/device/memory.ts';
import { PreImageLog } from '../../../src/mirror/pre-image-log.ts';
import { other } from '../support/mirror-pair.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import type { WritePoint } from './crash-disk.ts';

/** Where the records of a log of pre-images begin. */
const recordsAtBytes = 8_192;
const extentBytes = 65_536;

/** What both elements held when the header of a log of pre-images was written. */
interface Kept {
  readonly own: Uint8Array;
  readonly peer: Uint8Array;
}

/** Rules resync.undo and lineage.resolve: what elements held before they were overwritten, as nobody but the judge can know. */
export class KeptImages {
  readonly #contents: (node: NodeName) => Uint8Array;
  readonly #undo: Partial<Record<NodeName, Kept>> = {};
  readonly #salvage: Record<NodeName, Kept[]> = { alpha: [], beta: [] };

  constructor(contents: (node: NodeName) => Uint8Array) {
    this.#contents = contents;
  }

  /** A write of a node is about to take effect. */
  notice({ node, disk, offsetBytes }: WritePoint): void {
    if (offsetBytes >= recordsAtBytes || (disk !== 'undo' && disk !== 'salvage')) return;
    const { [node]: salvaged } = this.#salvage;
    if (disk === 'undo') this.#undo[node] = this.#now(node);
    // Its last header says that it is complete.
    else if (salvaged.length === 0) salvaged.push(this.#now(node));
  }

  /** A crash may have changed an element of which a salvage file holds a part. */
  started(node: NodeName): void {
    const { [node]: salvaged } = this.#salvage;
    if (salvaged.length > 0) salvaged.push(this.#now(node));
  }

  /** The salvage file is not there any more. */
  forgetSalvage(node: NodeName): void {
    this.#salvage[node] = [];
  }

  /** What an element held before the resync that may be undone. */
  before(node: NodeName): Uint8Array {
    const kept = this.#undo[node];
    if (!kept) throw new Error('no undo journal was begun');
    return kept.own;
  }

  /** What is wrong with an element that was rolled back, or null. */
  judgeRollback(node: NodeName): string | null {
    return Buffer.compare(this.before(node), this.#contents(node)) === 0
      ? null
      : 'what was rolled back is not what it was before (resync.undo)';
  }

  /** What is wrong with the salvage file of an element that was overwritten, or null: it holds each extent in which the elements differed, as it was. */
  async judgeSalvage(node: NodeName, file: Uint8Array): Promise<string | null> {
    const { [node]: salvaged } = this.#salvage;
    if (salvaged.length === 0) return 'no salvage file was begun';
    const log = await PreImageLog.open(new MemoryDevice({ sizeBytes: file.byteLength, contents: file.slice() }));
    if (!log) return 'the salvage file is none';
    if (log.damaged.length > 0) return `records ${log.damaged.join(', ')} of the salvage file are damaged`;
    for (let extent = 0; extent * extentBytes < this.#contents(node).byteLength; extent += 1) {
      const isSame = (one: Uint8Array, two: Uint8Array): boolean =>
        Buffer.compare(one, two.subarray(extent * extentBytes, (extent + 1) * extentBytes)) === 0;
      const of = (contents: Uint8Array): Uint8Array => contents.subarray(extent * extentBytes, (extent + 1) * extentBytes);
      const image = await log.image(extent);
      if (!image && salvaged.every(({ own, peer }) => !isSame(of(own), peer))) return `the salvage file lacks extent ${String(extent)}`;
      if (image && !salvaged.some(({ own }) => isSame(image.bytes, own)))
        return `the salvage file has extent ${String(extent)} as it was not`;
    }
    return null;
  }

  #now(node: NodeName): Kept {
    return { own: this.#contents(node).slice(), peer: this.#contents(other(node)).slice() };
  }
}
