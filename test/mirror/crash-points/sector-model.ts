import { BlockModel } from '../support/block-model.ts';
import { sectorBytes } from './crash-disk.ts';

const valueAt = 0;

/**
 * What an application may find in each sector of its disk: a {@link BlockModel} over sectors, each of whose writes has a value of its own, but for zeroes.
 * A write of several sectors that nobody acknowledged may have come as far as it likes.
 */
export class SectorModel {
  readonly #model: BlockModel;
  /** By sector that was written: the value of each write, in the order issued. The first is what it held at the beginning. */
  readonly #values = new Map<number, number[]>();
  readonly #initial: number;
  #value = 1;

  constructor(sectors: number, initial: number) {
    this.#model = new BlockModel(sectors);
    this.#initial = initial;
  }

  /** A write is issued: its bytes, and what is to be called when it is acknowledged. Zeroes have no bytes. */
  issue(
    offsetBytes: number,
    lengthBytes: number,
    zeroes: boolean,
  ): { readonly bytes: Uint8Array; readonly acknowledged: (fua: boolean) => void } {
    this.#value += 1;
    const value = zeroes ? 0 : this.#value;
    const bytes = new Uint8Array(lengthBytes);
    const first = offsetBytes / sectorBytes;
    const issued = Array.from({ length: lengthBytes / sectorBytes }, (_, at) => {
      const sector = first + at;
      new DataView(bytes.buffer).setUint32(at * sectorBytes + valueAt, value, true);
      const values = this.#values.get(sector) ?? [this.#initial];
      values.push(value);
      this.#values.set(sector, values);
      return { sector, write: this.#model.issue(sector) };
    });
    const acknowledged = (fua: boolean): void => {
      for (const { sector, write } of issued) this.#model.acknowledged(sector, write, fua);
    };
    return { bytes, acknowledged };
  }

  /** A flush is issued; to be called when it is acknowledged. */
  flush(): () => void {
    const floors = this.#model.floors();
    return () => {
      this.#model.flushed(floors);
    };
  }

  /** Every element that held what no flush covers has lost its cache. */
  cachesLost(): void {
    this.#model.cachesLost();
  }

  /** What is wrong with these contents, or null. */
  judge(contents: Uint8Array): string | null {
    const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
    const floors = this.#model.floors();
    for (let sector = 0; sector * sectorBytes < contents.byteLength; sector += 1) {
      const value = view.getUint32(sector * sectorBytes + valueAt, true);
      const values = this.#values.get(sector);
      if (!values && value === this.#initial) continue;
      const write = values?.lastIndexOf(value) ?? -1;
      if (write < 0) return `sector ${String(sector)} holds ${String(value)}, which was never written there`;
      const wrong = this.#model.judge(sector, write, floors[sector] ?? 0);
      if (wrong) return wrong.replace('block', 'sector');
    }
    return null;
  }
}
