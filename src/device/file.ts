import { fdatasync, readSync, writeSync } from 'node:fs';

import type { Clock } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { AllocationPiece, BlockDevice, DeviceCapabilities, Done, WriteOptions, ZeroesOptions } from './block-device.ts';
import { ioError, readStopped, writeStopped } from './file-errors.ts';
import { GroupCommit } from './group-commit.ts';
import { Holes } from './holes.ts';
import { openExclusively } from './open-file.ts';
import type { OpenFile } from './open-file.ts';
import { PooledReads, readsAtOnce } from './pooled-reads.ts';
import { ReadPace } from './read-pace.ts';
import { allData, assertBlockSize, closedError, refuseRange } from './requests.ts';
import { systemCalls } from './system-calls.ts';
import type { SystemCalls } from './system-calls.ts';
import { transfer } from './transfer.ts';

const defaultBlockSizeBytes = 512;
const zeroes = new Uint8Array(2 ** 20);

/** By which nothing takes long. */
const noClock = { nowMs: () => 0 };

/** How a file is used as a disk. */
export interface FileDeviceOptions {
  /** A power of two. Default 512. */
  readonly blockSizeBytes?: number;
  /** Tells reads that come from the page cache from those that wait for the disk, which go to libuv's pool. Without one all are made in the calling thread. */
  readonly clock?: Pick<Clock, 'nowMs'>;
}

/**
 * A regular file or a raw block device as a disk.
 *
 * Writes are system calls made at once, in the calling thread, through the page cache: the fastest way, and one that stalls the thread when the cache must wait for the disk. It is meant for a worker
 * thread of its own. So are reads, as long as they come from the cache: with a clock, when one took as long as a disk takes, those that follow run in libuv's pool for a while. `fdatasync` always does, as a group commit.
 *
 * On Linux, where the optional package `koffi` is installed, zeroes that may be a hole become one, and so does what is trimmed, as far as the file system or the block device can punch holes;
 * files of ext4, XFS and tmpfs tell where theirs are.
 *
 * It never creates, extends or truncates what it opens. No second process (or thread) can open the same element this way; see `lockFile` for the limits.
 * After a failed flush every later one fails until the device is opened again.
 */
export class FileDevice implements BlockDevice {
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  /** As it was opened, for messages. */
  readonly path: string;
  readonly #file: OpenFile;
  readonly #commit: GroupCommit;
  readonly #pooled: PooledReads;
  readonly #pace = new ReadPace();
  readonly #clock: Pick<Clock, 'nowMs'>;
  /** Null: nothing can be known or made of them here. */
  readonly #holes: Holes | null;
  #sizeBytes: number;
  #closing: Promise<void> | null = null;

  private constructor(path: string, file: OpenFile, { blockSizeBytes, clock }: Required<FileDeviceOptions>, holes: Holes | null) {
    this.path = path;
    this.#holes = holes;
    const punches = holes?.punches === true;
    this.capabilities = Object.freeze({ synchronous: true, trim: punches, punchHole: punches, exclusive: true });
    this.blockSizeBytes = blockSizeBytes;
    this.#sizeBytes = file.sizeBytes - (file.sizeBytes % blockSizeBytes);
    this.#file = file;
    this.#clock = clock;
    this.#pooled = new PooledReads({
      ...{ fd: file.fd, path, mostAtOnce: readsAtOnce(process.env['UV_THREADPOOL_SIZE']) },
      readHere: (offsetBytes, into) => this.#readFully(offsetBytes, into),
    });
    this.#commit = new GroupCommit((done) => {
      fdatasync(file.fd, (cause) => {
        done(cause ? ioError(cause, 'HM_IO_FLUSH', path) : null);
      });
    });
  }

  /**
   * Opens an existing file or block device. A size that is not whole blocks is rounded down.
   *
   * Rejects with `HM_DEVICE_NOT_FOUND`, `HM_DEVICE_ACCESS` or `HM_DEVICE_IN_USE`.
   */
  static open(path: string, options: FileDeviceOptions = {}): Promise<FileDevice> {
    return FileDevice.openBy(systemCalls(), path, options);
  }

  /** @internal The same with these system calls, or none. */
  static async openBy(calls: SystemCalls | null, path: string, options: FileDeviceOptions = {}): Promise<FileDevice> {
    const { blockSizeBytes = defaultBlockSizeBytes, clock = noClock } = options;
    assertBlockSize(blockSizeBytes);
    const file = await openExclusively(path);
    const holes = calls && (await Holes.of({ file, path, blockSizeBytes, calls }));
    return new FileDevice(path, file, { blockSizeBytes, clock }, holes);
  }

  /** As it was opened, or found by {@link FileDevice.refreshSize}. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Finds a file or block device that was enlarged. Rejects with `HM_IO_READ` or `HM_CLOSED`. */
  async refreshSize(): Promise<void> {
    if (this.#closing) throw closedError(this.path);
    const sizeBytes = await this.#file.measure();
    this.#sizeBytes = Math.max(this.#sizeBytes, sizeBytes - (sizeBytes % this.blockSizeBytes));
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    const refusal = this.#refuse(offsetBytes, into.byteLength);
    if (refusal) {
      done(refusal);
      return;
    }
    const beganMs = this.#clock.nowMs();
    if (!this.#pace.here(beganMs) && !this.#pooled.full) {
      this.#pooled.read(offsetBytes, into, done);
      return;
    }
    const error = this.#readFully(offsetBytes, into);
    const endedMs = this.#clock.nowMs();
    this.#pace.took(into.byteLength, endedMs - beganMs, endedMs);
    done(error);
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    const error = this.#refuse(offsetBytes, from.byteLength) ?? this.#writeFully(offsetBytes, from);
    this.#completeWrite(error, options, done);
  }

  flush(done: Done): void {
    if (this.#closing) done(closedError(this.path));
    else this.#commit.flush(done);
  }

  /** Punches a hole, which reads as zeroes; `HM_NOT_SUPPORTED` where that cannot be. */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    const refusal = this.#refuse(offsetBytes, lengthBytes);
    if (refusal) done(refusal);
    else if (this.#holes?.punches) done(this.#punch(this.#holes, offsetBytes, lengthBytes));
    else done(new HotMirrorError('HM_NOT_SUPPORTED', `${this.path} cannot be trimmed; writeZeroes can clear it`));
  }

  /** What cannot be punched, whatever the reason, is written. */
  writeZeroes(offsetBytes: number, lengthBytes: number, options: ZeroesOptions, done: Done): void {
    let error = this.#refuse(offsetBytes, lengthBytes);
    const punched = !error && !options.noHole && this.#holes?.punches && !this.#punch(this.#holes, offsetBytes, lengthBytes);
    for (let at = 0; at < lengthBytes && !error && !punched; at += zeroes.byteLength) {
      error = this.#writeFully(offsetBytes + at, zeroes.subarray(0, Math.min(zeroes.byteLength, lengthBytes - at)));
    }
    this.#completeWrite(error, options, done);
  }

  /** All is data but where the file system is trusted to know its holes. */
  allocation(offsetBytes: number, lengthBytes: number, mostPieces: number): readonly AllocationPiece[] {
    if (!this.#holes?.tells || this.#refuse(offsetBytes, lengthBytes)) return allData(lengthBytes);
    return this.#holes.allocation(offsetBytes, lengthBytes, mostPieces);
  }

  /** Lets go of what it holds; closing again resolves too. */
  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#commit.idle(), this.#pooled.idle()]).then(() => this.#file.close());
    return this.#closing;
  }

  #refuse(offsetBytes: number, lengthBytes: number): HotMirrorError | null {
    return this.#closing ? closedError(this.path) : refuseRange(this, offsetBytes, lengthBytes);
  }

  #punch(holes: Holes, offsetBytes: number, lengthBytes: number): HotMirrorError | null {
    this.#pooled.beforeChange(offsetBytes, lengthBytes);
    return holes.punch(offsetBytes, lengthBytes);
  }

  #completeWrite(error: HotMirrorError | null, options: WriteOptions, done: Done): void {
    if (!error && options.fua) this.#commit.flush(done);
    else done(error);
  }

  #readFully(offsetBytes: number, into: Uint8Array): HotMirrorError | null {
    try {
      const read = transfer(into.byteLength, (at, length) => readSync(this.#file.fd, into, at, length, offsetBytes + at));
      return read < into.byteLength ? readStopped(this.path, offsetBytes + read) : null;
    } catch (cause) {
      return ioError(cause, 'HM_IO_READ', this.path);
    }
  }

  #writeFully(offsetBytes: number, from: Uint8Array): HotMirrorError | null {
    this.#pooled.beforeChange(offsetBytes, from.byteLength);
    try {
      const written = transfer(from.byteLength, (at, length) => writeSync(this.#file.fd, from, at, length, offsetBytes + at));
      return written < from.byteLength ? writeStopped(this.path, offsetBytes + written) : null;
    } catch (cause) {
      return ioError(cause, 'HM_IO_WRITE', this.path);
    }
  }
}
