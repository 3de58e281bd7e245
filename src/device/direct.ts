import { constants, fdatasync, read, write } from 'node:fs';
import { promisify } from 'node:util';

import { HotMirrorError } from '../errors.ts';
import { AlignedMemory, slotBytes } from './aligned-memory.ts';
import type { Slot } from './aligned-memory.ts';
import type { BlockDevice, DeviceCapabilities, Done, WriteOptions, ZeroesOptions } from './block-device.ts';
import { errnoOf, ioError, readStopped, writeStopped } from './file-errors.ts';
import { GroupCommit } from './group-commit.ts';
import { Holes } from './holes.ts';
import { openExclusively } from './open-file.ts';
import type { OpenFile } from './open-file.ts';
import { closedError, refuseRange } from './requests.ts';
import { systemCalls } from './system-calls.ts';
import type { SystemCalls } from './system-calls.ts';
import { transferAsync } from './transfer.ts';

const readAsync = promisify(read);
const writeAsync = promisify(write);

/** That of every disk that is not 4K native; those are refused. */
const blockBytes = 512;
/** Requests that are with the disk at once, each with a slot of memory. */
const mostAtOnce = 32;
/** Requests that may wait for their turn; more complete with `HM_BUSY`. */
const maxQueuedRequests = 65_536;

/** A request that waits, or is with the disk. */
interface Request {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly run: (slot: Slot) => Promise<void>;
  readonly code: 'HM_IO_READ' | 'HM_IO_WRITE';
  readonly done: Done;
}

/**
 * A regular file or a raw block device as a disk, past the page cache (`O_DIRECT`): what is on the disk is not in memory a second time, and a disk that is slow keeps nobody else waiting, for requests run in
 * libuv's pool. What a page cache would have is read from the disk each time.
 *
 * Requests begin in the order in which they were asked for; one that overlaps another which is with the disk waits for it, and what comes behind waits too. It never creates, extends or truncates what it
 * opens. Holes are punched where a `FileDevice` punches them; it does not tell where they are. No second process (or thread) can open the same element this way; see `lockFile` for the limits. After a failed flush every later one fails until the device is opened again.
 */
export class DirectDevice implements BlockDevice {
  readonly blockSizeBytes: number = blockBytes;
  readonly capabilities: DeviceCapabilities;
  /** As it was opened, for messages. */
  readonly path: string;
  readonly #file: OpenFile;
  readonly #commit: GroupCommit;
  readonly #holes: Holes | null;
  readonly #memory: AlignedMemory = new AlignedMemory(mostAtOnce);
  #sizeBytes: number;
  #waiting: Request[] = [];
  readonly #running = new Set<Request>();
  #whenIdle: (() => void)[] = [];
  #closing: Promise<void> | null = null;

  private constructor(path: string, file: OpenFile, holes: Holes | null) {
    this.path = path;
    this.#holes = holes;
    const punches = holes?.punches === true;
    this.capabilities = Object.freeze({ synchronous: false, trim: punches, punchHole: punches, exclusive: true });
    this.#file = file;
    this.#sizeBytes = wholeBlocks(file.sizeBytes);
    this.#commit = new GroupCommit((done) => {
      fdatasync(file.fd, (cause) => done(cause ? ioError(cause, 'HM_IO_FLUSH', path) : null));
    });
  }

  /**
   * Opens an existing file or block device. A size that is not whole blocks is rounded down.
   *
   * Rejects with `HM_DEVICE_NOT_FOUND`, `HM_DEVICE_ACCESS`, also where there is no way past the page cache or a block is larger than 512 bytes, or `HM_DEVICE_IN_USE`.
   */
  static open(path: string): Promise<DirectDevice> {
    return DirectDevice.openBy(systemCalls(), path);
  }

  /** @internal The same with these system calls, or none. */
  static async openBy(calls: SystemCalls | null, path: string): Promise<DirectDevice> {
    const file = await openExclusively(path, constants.O_DIRECT);
    const holes = calls && (await Holes.of({ file, path, blockSizeBytes: blockBytes, calls }));
    const device = new DirectDevice(path, file, holes);
    try {
      await device.#tryBlock();
      return device;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** As it was opened, or found by {@link DirectDevice.refreshSize}. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Finds a file or block device that was enlarged. Rejects with `HM_IO_READ` or `HM_CLOSED`. */
  async refreshSize(): Promise<void> {
    if (this.#closing) throw closedError(this.path);
    this.#sizeBytes = Math.max(this.#sizeBytes, wholeBlocks(await this.#file.measure()));
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    const { fd } = this.#file;
    const piece = async ({ bytes }: Slot, atBytes: number, lengthBytes: number): Promise<void> => {
      const moved = await transferAsync(lengthBytes, async (at, length) => {
        const { bytesRead } = await readAsync(fd, bytes, at, length, offsetBytes + atBytes + at);
        return bytesRead;
      });
      if (moved < lengthBytes) throw readStopped(this.path, offsetBytes + atBytes + moved);
      into.set(bytes.subarray(0, lengthBytes), atBytes);
    };
    this.#ask(offsetBytes, into.byteLength, 'HM_IO_READ', inPieces(into.byteLength, piece), done);
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    const fill = (bytes: Buffer, atBytes: number, lengthBytes: number): void => {
      bytes.set(from.subarray(atBytes, atBytes + lengthBytes));
    };
    const run = this.#writing(offsetBytes, from.byteLength, fill);
    this.#ask(offsetBytes, from.byteLength, 'HM_IO_WRITE', run, options.fua ? this.#thenFlush(done) : done);
  }

  flush(done: Done): void {
    if (this.#closing) done(closedError(this.path));
    else this.#commit.flush(done);
  }

  /** Punches a hole, which reads as zeroes; `HM_NOT_SUPPORTED` where that cannot be. */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    const holes = this.#holes;
    if (!holes?.punches) {
      const refusal = this.#refuse(offsetBytes, lengthBytes);
      done(refusal ?? new HotMirrorError('HM_NOT_SUPPORTED', `${this.path} cannot be trimmed; writeZeroes can clear it`));
      return;
    }
    const run = async (): Promise<void> => {
      const error = await holes.punchInPool(offsetBytes, lengthBytes);
      if (error) throw error;
    };
    this.#ask(offsetBytes, lengthBytes, 'HM_IO_WRITE', run, done);
  }

  /** What cannot be punched, whatever the reason, is written. */
  writeZeroes(offsetBytes: number, lengthBytes: number, options: ZeroesOptions, done: Done): void {
    const holes = options.noHole ? null : this.#holes;
    const write = this.#writing(offsetBytes, lengthBytes, (bytes) => bytes.fill(0));
    const run = async (slot: Slot): Promise<void> => {
      if (!holes?.punches || (await holes.punchInPool(offsetBytes, lengthBytes))) await write(slot);
    };
    this.#ask(offsetBytes, lengthBytes, 'HM_IO_WRITE', run, options.fua ? this.#thenFlush(done) : done);
  }

  /** Lets requests under way end, then lets go of what it holds; closing again resolves too. */
  close(): Promise<void> {
    this.#closing ??= this.#idle()
      .then(() => this.#commit.idle())
      .then(() => this.#file.close());
    return this.#closing;
  }

  #writing(offsetBytes: number, lengthBytes: number, fill: (bytes: Buffer, atBytes: number, lengthBytes: number) => void): Request['run'] {
    const { fd } = this.#file;
    const piece = async ({ bytes }: Slot, atBytes: number, pieceBytes: number): Promise<void> => {
      fill(bytes, atBytes, pieceBytes);
      const moved = await transferAsync(pieceBytes, async (at, length) => {
        const { bytesWritten } = await writeAsync(fd, bytes, at, length, offsetBytes + atBytes + at);
        return bytesWritten;
      });
      if (moved < pieceBytes) throw writeStopped(this.path, offsetBytes + atBytes + moved);
    };
    return inPieces(lengthBytes, piece);
  }

  #ask(offsetBytes: number, lengthBytes: number, code: Request['code'], run: Request['run'], done: Done): void {
    const refusal = this.#refuse(offsetBytes, lengthBytes);
    if (refusal || lengthBytes === 0) {
      done(refusal);
      return;
    }
    if (this.#waiting.length >= maxQueuedRequests) {
      done(new HotMirrorError('HM_BUSY', `${String(maxQueuedRequests)} requests to ${this.path} wait`));
      return;
    }
    this.#waiting.push({ offsetBytes, lengthBytes, run, code, done });
    this.#pump();
  }

  #pump(): void {
    for (let head = this.#waiting[0]; head && !this.#overlapsRunning(head); head = this.#waiting[0]) {
      const slot = this.#memory.take();
      if (!slot) return;
      this.#waiting.shift();
      this.#running.add(head);
      void this.#carryOut(head, slot);
    }
  }

  async #carryOut(request: Request, slot: Slot): Promise<void> {
    let failure: HotMirrorError | null = null;
    try {
      await request.run(slot);
    } catch (cause) {
      failure = ioError(cause, request.code, this.path);
    }
    this.#memory.give(slot);
    this.#running.delete(request);
    request.done(failure);
    this.#pump();
    if (this.#isIdle) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #overlapsRunning({ offsetBytes, lengthBytes }: Request): boolean {
    for (const other of this.#running)
      if (other.offsetBytes < offsetBytes + lengthBytes && offsetBytes < other.offsetBytes + other.lengthBytes) return true;
    return false;
  }

  get #isIdle(): boolean {
    return this.#running.size === 0 && this.#waiting.length === 0;
  }

  #idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #refuse(offsetBytes: number, lengthBytes: number): HotMirrorError | null {
    return this.#closing ? closedError(this.path) : refuseRange(this, offsetBytes, lengthBytes);
  }

  #thenFlush(done: Done): Done {
    return (error) => {
      if (error) done(error);
      else this.#commit.flush(done);
    };
  }

  /** Some file systems take the flag and refuse the first request. */
  async #tryBlock(): Promise<void> {
    const slot = this.#memory.take();
    if (!slot || this.#sizeBytes === 0) return;
    try {
      await readAsync(this.#file.fd, slot.bytes, 0, blockBytes, 0);
    } catch (cause) {
      // A block that cannot be read is one for the mirror to deal with.
      if (errnoOf(cause) === 'EINVAL')
        throw HotMirrorError.from(
          cause,
          'HM_DEVICE_ACCESS',
          `${this.path} cannot be read past the page cache in blocks of ${String(blockBytes)} bytes`,
        );
    } finally {
      this.#memory.give(slot);
    }
  }
}

/** Carries a request out piece by piece, as the memory of a slot allows. */
function inPieces(lengthBytes: number, piece: (slot: Slot, atBytes: number, lengthBytes: number) => Promise<void>): Request['run'] {
  return async (slot) => {
    for (let at = 0; at < lengthBytes; at += slotBytes) await piece(slot, at, Math.min(slotBytes, lengthBytes - at));
  };
}

function wholeBlocks(sizeBytes: number): number {
  return sizeBytes - (sizeBytes % blockBytes);
}
