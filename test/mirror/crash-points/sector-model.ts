import { BlockModel } from '../support/block-model.ts';
import { sectorBytes } from './crash-disk.ts';

const valueAt = 0;
/** Values of a branch differ from those of the model that it came from. */
const branchValues = 1_000_000;

/** One write, as the application knows it. */
interface IssuedWrite {
  readonly sectors: readonly { readonly sector: number; readonly write: number }[];
  /** Place among all that was issued and acknowledged. */
  readonly issuedAt: number;
  acknowledgedAt: number | null;
  /** It completed when it was queued to the link (protocol async). */
  mayLag: boolean;
}

/** What is to be called when a request is acknowledged. */
export interface Acknowledgement {
  readonly fua: boolean;
  readonly mayLag: boolean;
}

/**
 * What an application may find in each sector of its disk: a {@link BlockModel} over sectors, each of whose writes has a value of its own, but for zeroes.
 * A write of several sectors that nobody acknowledged may have come as far as it likes.
 */
export class SectorModel {
  #model: BlockModel;
  /** By sector that was written: the value of each write, in the order issued. The first is what it held at the beginning. */
  readonly #values = new Map<number, number[]>();
  readonly #writes: IssuedWrite[] = [];
  readonly #initial: number;
  #value = 1;
  #events = 0;
  #acknowledgedHere = 0;

  constructor(sectors: number, initial: number) {
    this.#model = new BlockModel(sectors);
    this.#initial = initial;
  }

  /** How many writes were acknowledged, since it is a branch. */
  get acknowledgedHere(): number {
    return this.#acknowledgedHere;
  }

  /** The same, for an application that knows nothing of what is done to the other from now on. */
  branch(number: number): SectorModel {
    const branch = new SectorModel(0, this.#initial);
    branch.#model = this.#model.copy();
    for (const [sector, values] of this.#values) branch.#values.set(sector, [...values]);
    branch.#value = this.#value + number * branchValues;
    branch.#events = this.#events;
    branch.#writes.push(...this.#writes.map((write) => ({ ...write })));
    return branch;
  }

  /** A write is issued: its bytes, and what is to be called when it is acknowledged. Zeroes have no bytes. */
  issue(
    offsetBytes: number,
    lengthBytes: number,
    zeroes: boolean,
  ): { readonly bytes: Uint8Array; readonly acknowledged: (how: Acknowledgement) => void } {
    this.#value += 1;
    const value = zeroes ? 0 : this.#value;
    const bytes = new Uint8Array(lengthBytes);
    const first = offsetBytes / sectorBytes;
    const sectors = Array.from({ length: lengthBytes / sectorBytes }, (_, at) => {
      const sector = first + at;
      new DataView(bytes.buffer).setUint32(at * sectorBytes + valueAt, value, true);
      this.#valuesOf(sector).push(value);
      return { sector, write: this.#model.issue(sector) };
    });
    const issued: IssuedWrite = { sectors, issuedAt: (this.#events += 1), acknowledgedAt: null, mayLag: false };
    this.#writes.push(issued);
    const acknowledged = ({ fua, mayLag }: Acknowledgement): void => {
      issued.acknowledgedAt = this.#events += 1;
      issued.mayLag = mayLag;
      this.#acknowledgedHere += 1;
      for (const { sector, write } of sectors) this.#model.acknowledged(sector, write, fua);
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

  /** A disk has lost what was written there, and nobody knows. */
  forgets(sectors: Iterable<number>): void {
    for (const sector of sectors) this.#model.forgets(sector, 0);
  }

  /** By the word of an operator this is all that there is. */
  rolledBack(contents: Uint8Array): void {
    for (const sector of this.#values.keys()) this.#model.forgets(sector, Math.max(0, this.#found(contents, sector)));
  }

  /**
   * A node takes over with these contents (rule write.both). Of what was acknowledged and no flush covers, so many bytes may be missing that were completed by
   * async; where one is, nothing is there that was issued after it was acknowledged (rule write.order). What is missing is gone from now on. Null, or what is wrong.
   */
  takenOver(contents: Uint8Array, mayLoseBytes: number): string | null {
    const floors = this.#model.floors();
    const durable = this.#model.durableFloors();
    const isLost = ({ sector, write }: IssuedWrite['sectors'][number]): boolean =>
      write <= (floors[sector] ?? 0) && this.#found(contents, sector) < write;
    const lost = this.#writes
      .filter(({ acknowledgedAt }) => acknowledgedAt !== null)
      .map((write) => ({ ...write, sectors: write.sectors.filter(isLost) }))
      .filter(({ sectors }) => sectors.length > 0);
    for (const { sectors, mayLag } of lost) {
      const [{ sector, write }] = sectors as [IssuedWrite['sectors'][number]];
      if (!mayLag) return `the takeover lost sector ${String(sector)}, which was acknowledged by a protocol that loses nothing`;
      if (sectors.some((one) => one.write <= (durable[one.sector] ?? 0)))
        return `the takeover lost write ${String(write)} of a flushed sector`;
    }
    const bytes =
      new Set(lost.flatMap(({ sectors }) => sectors.map(({ sector, write }) => `${String(sector)} ${String(write)}`))).size * sectorBytes;
    if (bytes > mayLoseBytes) return `the takeover lost ${String(bytes)} bytes, and promised to lose ${String(mayLoseBytes)} at most`;
    const firstLost = Math.min(...lost.map(({ acknowledgedAt }) => acknowledgedAt ?? Infinity));
    const later = this.#writes.find(
      ({ issuedAt, sectors }) =>
        issuedAt > firstLost && sectors.some(({ sector, write }) => write > 0 && this.#found(contents, sector) === write),
    );
    if (later) return `the takeover lost a write, and kept one that was issued after that was acknowledged (write.order)`;
    for (const { sectors } of lost)
      for (const { sector } of sectors) this.#model.forgets(sector, Math.max(0, this.#found(contents, sector)));
    return null;
  }

  /** What is wrong with these contents, or null. */
  judge(contents: Uint8Array): string | null {
    const wrong = this.judgeRead(contents, 0);
    if (wrong !== null) return wrong;
    const beyond = this.#model.floors().findIndex((floor, sector) => floor > 0 && sector * sectorBytes >= contents.byteLength);
    return beyond < 0 ? null : `sector ${String(beyond)} was acknowledged and is beyond the end`;
  }

  /** What is wrong with what was read from there on, or null. */
  judgeRead(bytes: Uint8Array, offsetBytes: number): string | null {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const floors = this.#model.floors();
    const first = offsetBytes / sectorBytes;
    for (let sector = first; (sector - first) * sectorBytes < bytes.byteLength; sector += 1) {
      const value = view.getUint32((sector - first) * sectorBytes + valueAt, true);
      const values = this.#values.get(sector);
      if (!values && value === this.#initial) continue;
      const write = values?.lastIndexOf(value) ?? -1;
      if (write < 0) return `sector ${String(sector)} holds ${String(value)}, which was never written there`;
      const wrong = this.#model.judge(sector, write, floors[sector] ?? 0);
      if (wrong) return wrong.replace('block', 'sector');
    }
    return null;
  }

  /** The number of the write that a sector holds; -1 for none of them. */
  #found(contents: Uint8Array, sector: number): number {
    const atBytes = sector * sectorBytes;
    if (atBytes >= contents.byteLength) return -1;
    const value = new DataView(contents.buffer, contents.byteOffset, contents.byteLength).getUint32(atBytes + valueAt, true);
    return this.#valuesOf(sector).lastIndexOf(value);
  }

  #valuesOf(sector: number): number[] {
    const values = this.#values.get(sector) ?? [this.#initial];
    this.#values.set(sector, values);
    return values;
  }
}
