import type { SeededRandom } from '../seeded-random.ts';
import type { DiskBadBlocks } from './disk-bad-blocks.ts';

/** Changes that the cache holds back without doubt, at most; then it writes the older half to the medium, as a kernel does with pages that have waited long. */
const maxCachedChanges = 1_024;

/** Before-bytes are kept in chunks of this size, so that most changes take no memory of their own. */
const chunkBytes = 65_536;

/** The fates of a change that is lost in part; each is as likely as the others. */
const fates = 3;
const lost = 0;
const whole = 1;

/** Bytes that a request brought to a place. */
export interface DiskBytes {
  readonly offsetBytes: number;
  readonly bytes: Uint8Array;
}

/** A change of the contents that may not have reached the medium. */
interface Change {
  /** Place in the order of all changes. */
  readonly position: number;
  readonly offsetBytes: number;
  /** What the range held before the change; as long as the range. */
  readonly before: Uint8Array;
  /** No flush can make it durable: it failed, or a flush after it did. */
  doubtful: boolean;
}

/** What a {@link DiskCache} is made of. */
export interface DiskCacheOptions {
  readonly sizeBytes: number;
  readonly tornUnitBytes: number;
  readonly random: SeededRandom;
  readonly badBlocks: DiskBadBlocks;
  readonly changed: (offsetBytes: number, lengthBytes: number) => void;
}

/**
 * The bytes of a disk, and which of them are only in its cache.
 *
 * The contents are those that a reader finds. Beside them stands a log of the changes that may not have reached the medium, each with the bytes that
 * it replaced: the medium is the contents with the log undone. A change that becomes durable leaves the log, and takes with it what earlier changes
 * had in its range, for whatever becomes of them it lies on top.
 */
export class DiskCache {
  /** What a reader finds now; the same array for good. */
  readonly contents: Uint8Array;
  readonly #options: DiskCacheOptions;
  /** In the order they took effect. */
  #log: Change[] = [];
  #position = 0;
  #version = 0;
  #chunk: Uint8Array = new Uint8Array(0);
  #chunkUsed = 0;

  constructor(options: DiskCacheOptions) {
    this.#options = options;
    this.contents = new Uint8Array(options.sizeBytes);
  }

  /** Changes from now on have this position or a later one; those before have an earlier one. */
  get position(): number {
    return this.#position;
  }

  /** Raised by every change of the contents and of what is durable. */
  get version(): number {
    return this.#version;
  }

  /** Changes the contents; with `durable` the medium too. */
  write(offsetBytes: number, bytes: Uint8Array, durable: boolean): void {
    if (durable) this.#uncover(this.#log.length, offsetBytes, bytes.byteLength);
    else this.#remember(offsetBytes, bytes.byteLength, false);
    this.contents.set(bytes, offsetBytes);
    this.#options.badBlocks.written(offsetBytes, bytes.byteLength, durable ? null : this.#position);
    this.#noteChange(offsetBytes, bytes.byteLength);
  }

  /** Changes the contents in any part of these units, as a write does that failed or was interrupted. */
  writeInPart(offsetBytes: number, bytes: Uint8Array, unitBytes: number, doubtful: boolean): void {
    const parts = survivingParts(offsetBytes, bytes, unitBytes, this.#options.random);
    if (parts.length === 0) return;
    this.#remember(offsetBytes, bytes.byteLength, doubtful);
    for (const part of parts) {
      this.contents.set(part.bytes, part.offsetBytes);
      this.#options.badBlocks.written(part.offsetBytes, part.bytes.byteLength, this.#position);
    }
    this.#noteChange(offsetBytes, bytes.byteLength);
  }

  /** A flush has succeeded that was issued at this position: changes before it are durable, unless they are in doubt. */
  harden(position: number): void {
    let inOrder = 0;
    for (let next = this.#log[0]; next && next.position < position && !next.doubtful; next = this.#log[inOrder]) {
      this.#options.badBlocks.reached(next.offsetBytes, next.before.byteLength, next.position);
      inOrder += 1;
    }
    if (inOrder > 0) this.#version += 1;
    // Nothing lies before these, so the medium simply takes them.
    if (inOrder === this.#log.length) this.#empty();
    else this.#log.splice(0, inOrder);
    const behindDoubt = this.#log.filter((change) => change.position < position && !change.doubtful);
    for (const change of behindDoubt) this.#hardenOne(this.#log.indexOf(change));
  }

  /** A flush has failed: no later one makes durable what is in the cache now. */
  doubt(): void {
    for (const change of this.#log) change.doubtful = true;
  }

  /** The cache is gone. Of its changes, and of writes that were under way, each has reached the medium wholly, in any of its torn units, or not at all. */
  losePower(underWay: readonly DiskBytes[]): void {
    const { badBlocks, changed } = this.#options;
    const cached = this.#undo(this.contents);
    const positions = this.#log.map(({ position }) => position);
    if (cached.length + underWay.length > 0) this.#version += 1;
    this.#empty();
    cached.forEach((bytes, at) => {
      for (const part of this.#survive(bytes)) badBlocks.reached(part.offsetBytes, part.bytes.byteLength, positions[at]!);
    });
    for (const bytes of underWay) {
      for (const part of this.#survive(bytes)) badBlocks.written(part.offsetBytes, part.bytes.byteLength, null);
    }
    badBlocks.powerLost();
    for (const { offsetBytes, bytes } of [...cached, ...underWay]) changed(offsetBytes, bytes.byteLength);
  }

  /** What losing power now would surely leave; a copy. */
  durableImage(): Uint8Array {
    const image = this.contents.slice();
    this.#undo(image);
    return image;
  }

  /** All zeroes, durably. */
  blank(): void {
    this.#empty();
    this.contents.fill(0);
    this.#noteChange(0, this.contents.byteLength);
  }

  /** Undoes the log in an image that has the bytes of the contents. Gives what each change had written, in their order. */
  #undo(image: Uint8Array): DiskBytes[] {
    const undone: DiskBytes[] = [];
    for (const { offsetBytes, before } of this.#log.toReversed()) {
      undone.push({ offsetBytes, bytes: image.slice(offsetBytes, offsetBytes + before.byteLength) });
      image.set(before, offsetBytes);
    }
    return undone.reverse();
  }

  /** Puts into the contents what a power cut leaves of a write, and gives that. */
  #survive({ offsetBytes, bytes }: DiskBytes): DiskBytes[] {
    const parts = survivingParts(offsetBytes, bytes, this.#options.tornUnitBytes, this.#options.random);
    for (const part of parts) this.contents.set(part.bytes, part.offsetBytes);
    return parts;
  }

  #remember(offsetBytes: number, lengthBytes: number, doubtful: boolean): void {
    const before = this.#room(lengthBytes);
    before.set(this.contents.subarray(offsetBytes, offsetBytes + lengthBytes));
    this.#log.push({ position: this.#position, offsetBytes, before, doubtful });
    if (this.#log.length <= maxCachedChanges) return;
    const oldest = this.#log.findIndex((change) => !change.doubtful);
    if (oldest >= 0 && this.#log.length - oldest > maxCachedChanges) this.harden(this.#log.at(-maxCachedChanges / 2)!.position);
  }

  #noteChange(offsetBytes: number, lengthBytes: number): void {
    this.#position += 1;
    this.#version += 1;
    this.#options.changed(offsetBytes, lengthBytes);
  }

  #hardenOne(index: number): void {
    const [change] = this.#log.splice(index, 1) as [Change];
    this.#options.badBlocks.reached(change.offsetBytes, change.before.byteLength, change.position);
    this.#uncover(index, change.offsetBytes, change.before.byteLength);
    this.#version += 1;
  }

  /** Something durable lies in this range on top of the first `count` changes: what they did there has no effect any more. */
  #uncover(count: number, offsetBytes: number, lengthBytes: number): void {
    const endBytes = offsetBytes + lengthBytes;
    let reached = false;
    for (let at = 0; at < count && !reached; at += 1) reached = reaches(this.#log[at]!, offsetBytes, endBytes);
    if (!reached) return;
    this.#log = this.#log.flatMap((change, at) =>
      at < count && reaches(change, offsetBytes, endBytes) ? outside(change, offsetBytes, endBytes) : change,
    );
    if (this.#log.length === 0) this.#empty();
  }

  #empty(): void {
    this.#log = [];
    this.#chunkUsed = 0;
  }

  /** Memory that is used again once the log is empty; it holds anything. */
  #room(lengthBytes: number): Uint8Array {
    if (lengthBytes > chunkBytes) return Buffer.allocUnsafeSlow(lengthBytes);
    if (this.#chunkUsed + lengthBytes > this.#chunk.byteLength) {
      this.#chunk = Buffer.allocUnsafeSlow(chunkBytes);
      this.#chunkUsed = 0;
    }
    this.#chunkUsed += lengthBytes;
    return this.#chunk.subarray(this.#chunkUsed - lengthBytes, this.#chunkUsed);
  }
}

function reaches(change: Change, fromBytes: number, endBytes: number): boolean {
  return change.offsetBytes < endBytes && change.offsetBytes + change.before.byteLength > fromBytes;
}

/** What is left of a change when a range is taken out of it: nothing, one piece or two. Each may survive alone, as parts of one change may. */
function outside(change: Change, fromBytes: number, endBytes: number): Change[] {
  const { offsetBytes, before } = change;
  const pieces: Change[] = [];
  if (offsetBytes < fromBytes) pieces.push({ ...change, before: before.subarray(0, fromBytes - offsetBytes) });
  if (offsetBytes + before.byteLength > endBytes)
    pieces.push({ ...change, offsetBytes: endBytes, before: before.subarray(endBytes - offsetBytes) });
  return pieces;
}

/** The parts of a change that survive: all, none, or whole units by chance. Units are counted from the beginning of the disk. */
function survivingParts(offsetBytes: number, bytes: Uint8Array, unitBytes: number, random: SeededRandom): DiskBytes[] {
  const fate = random.below(fates);
  if (fate === lost) return [];
  if (fate === whole) return [{ offsetBytes, bytes }];
  const parts: DiskBytes[] = [];
  for (let at = 0; at < bytes.byteLength;) {
    const toUnitEnd = unitBytes - ((offsetBytes + at) % unitBytes);
    const end = Math.min(at + toUnitEnd, bytes.byteLength);
    if (random.below(2) === 0) parts.push({ offsetBytes: offsetBytes + at, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return parts;
}
