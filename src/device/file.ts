import { fdatasync, readSync, writeSync } from 'node:fs';

import type { Clock } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { BlockDevice, DeviceCapabilities, Done, WriteOptions } from './block-device.ts';
import { ioError, readStopped, writeStopped } from './file-errors.ts';
import { GroupCommit } from './group-commit.ts';
import { openExclusively } from './open-file.ts';
import type { OpenFile } from './open-file.ts';
import { PooledReads } from './pooled-reads.ts';
import { ReadPace } from './read-pace.ts';
import { assertBlockSize, closedError, refuseRange } from './requests.ts';
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
 * It never creates, extends or truncates what it opens. No second process (or thread) can open the same element this way; see `lockFile` for the limits.
 * After a failed flush every later one fails until the device is opened again.
 */
export class FileDevice implements BlockDevice {
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities = Object.freeze({ synchronous: true, trim: false, punchHole: false, exclusive: true });
  /** As it was opened, for messages. */
  readonly path: string;
  readonly #file: OpenFile;
  readonly #commit: GroupCommit;
  readonly #pooled: PooledReads;
  readonly #pace = new ReadPace();
  readonly #clock: Pick<Clock, 'nowMs'>;
  #sizeBytes: number;
  #closing: Promise<void> | null = null;

  private constructor(path: string, file: OpenFile, { blockSizeBytes, clock }: Required<FileDeviceOptions>) {
    this.path = path;
    this.blockSizeBytes = blockSizeBytes;
    this.#sizeBytes = file.sizeBytes - (file.sizeBytes % blockSizeBytes);
    this.#file = file;
    this.#clock = clock;
    this.#pooled = new PooledReads({ fd: file.fd, path, readHere: (offsetBytes, into) => this.#readFully(offsetBytes, into) });
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
  static async open(path: string, options: FileDeviceOptions = {}): Promise<FileDevice> {
    const { blockSizeBytes = defaultBlockSizeBytes, clock = noClock } = options;
    assertBlockSize(blockSizeBytes);
    return new FileDevice(path, await openExclusively(path), { blockSizeBytes, clock });
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

  /** Node has no way to the system call, so `HM_NOT_SUPPORTED`. */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    done(
      this.#refuse(offsetBytes, lengthBytes) ??
        new HotMirrorError('HM_NOT_SUPPORTED', `${this.path} cannot be trimmed; writeZeroes can clear it`),
    );
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: WriteOptions, done: Done): void {
    let error = this.#refuse(offsetBytes, lengthBytes);
    for (let at = 0; at < lengthBytes && !error; at += zeroes.byteLength) {
      error = this.#writeFully(offsetBytes + at, zeroes.subarray(0, Math.min(zeroes.byteLength, lengthBytes - at)));
    }
    this.#completeWrite(error, options, done);
  }

  /** Lets go of what it holds; closing again resolves too. */
  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#commit.idle(), this.#pooled.idle()]).then(() => this.#file.close());
    return this.#closing;
  }

  #refuse(offsetBytes: number, lengthBytes: number): HotMirrorError | null {
    return this.#closing ? closedError(this.path) : refuseRange(this, offsetBytes, lengthBytes);
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
