/** What the application knows of one block: the numbers of its writes, in the order issued; a higher number lies on top of a lower one. */
interface Block {
  /** The highest write issued. */
  issued: number;
  /** Nothing older may be read: acknowledged, or read already. */
  floor: number;
  /** Nothing older may be read after a power cut of every holder. */
  durableFloor: number;
}

/** What an application may rely on, block by block: the judge of every read in a random schedule. */
export class BlockModel {
  readonly #blocks: Block[];

  constructor(blocks: number) {
    this.#blocks = Array.from({ length: blocks }, () => ({ issued: 0, floor: 0, durableFloor: 0 }));
  }

  /** A write to the block is issued; its number. */
  issue(block: number): number {
    const entry = this.#at(block);
    entry.issued += 1;
    return entry.issued;
  }

  acknowledged(block: number, write: number, fua: boolean): void {
    const entry = this.#at(block);
    entry.floor = Math.max(entry.floor, write);
    if (fua) entry.durableFloor = Math.max(entry.durableFloor, write);
  }

  /** What is acknowledged now: a flush issued now covers it, and a read issued now must see it. */
  floors(): readonly number[] {
    return this.#blocks.map(({ floor }) => floor);
  }

  flushed(floors: readonly number[]): void {
    this.#blocks.forEach((entry, block) => (entry.durableFloor = Math.max(entry.durableFloor, floors[block] ?? 0)));
  }

  /** Every element that held what no flush covers has lost its cache. */
  cachesLost(): void {
    for (const entry of this.#blocks) entry.floor = entry.durableFloor;
  }

  /** What is acknowledged and survives a power cut of every holder. */
  durableFloors(): readonly number[] {
    return this.#blocks.map(({ durableFloor }) => durableFloor);
  }

  /** By a loss that a rule permits this write is all that there is of the block. */
  forgets(block: number, write: number): void {
    const entry = this.#at(block);
    entry.floor = Math.min(entry.floor, write);
    entry.durableFloor = Math.min(entry.durableFloor, write);
  }

  copy(): BlockModel {
    const copy = new BlockModel(0);
    copy.#blocks.push(...this.#blocks.map((block) => ({ ...block })));
    return copy;
  }

  /** A read that was issued with this floor returned this write; what is wrong with that, or null. What was read must never vanish. */
  judge(block: number, write: number, floorAtIssue: number): string | null {
    const entry = this.#at(block);
    const least = Math.min(floorAtIssue, entry.floor);
    if (write > entry.issued) return `block ${String(block)} holds write ${String(write)}, which was never issued`;
    if (write < least) return `block ${String(block)} holds write ${String(write)}; ${String(least)} was acknowledged or read`;
    entry.floor = Math.max(entry.floor, write);
    return null;
  }

  #at(block: number): Block {
    const entry = this.#blocks[block];
    if (!entry) throw new RangeError(`no block ${String(block)}`);
    return entry;
  }
}
