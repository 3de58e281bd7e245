import { fdatasync, read, write } from 'node:fs';
import { promisify } from 'node:util';

import { HotMirrorError } from '../errors.ts';
import type { BlockDevice, DeviceCapabilities, Done, WriteOptions } from './block-device.ts';
import { ioError, readStopped, writeStopped } from './file-errors.ts';
import { GroupCommit } from './group-commit.ts';
import type { OpenFile } from './open-file.ts';
import { closedError, refuseRange } from './requests.ts';
import { transferAsync } from './transfer.ts';

const readAsync = promisify(read);
const writeAsync = promisify(write);

/** Requests that may wait for their turn; more complete with `HM_BUSY`. */
const maxQueuedRequests = 4096;

/** What a {@link PoolDevice} works on. It closes the file. */
export interface PoolDeviceOptions {
  /** For messages. */
  readonly path: string;
  readonly file: OpenFile;
  /** How much of the file is the device. */
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
}

/**
 * A file as a disk whose requests run in libuv's pool, so the calling thread never waits for the disk. One request at a time and in the order
 * issued, which is all that a few small state files need; flushes are group commits.
 */
export class PoolDevice implements BlockDevice {
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities = Object.freeze({ synchronous: false, trim: false, punchHole: false, exclusive: true });
  readonly #path: string;
  readonly #file: OpenFile;
  readonly #commit: GroupCommit;
  #lastRequest: Promise<void> = Promise.resolve();
  #queuedRequests = 0;
  #sizeBytes: number;
  #enlarged: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor({ path, file, sizeBytes, blockSizeBytes }: PoolDeviceOptions) {
    this.#sizeBytes = sizeBytes;
    this.blockSizeBytes = blockSizeBytes;
    this.#path = path;
    this.#file = file;
    this.#commit = new GroupCommit((done) => {
      fdatasync(file.fd, (cause) => {
        done(cause ? ioError(cause, 'HM_IO_FLUSH', path) : null);
      });
    });
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#queue(offsetBytes, into.byteLength, 'HM_IO_READ', done, async () => {
      const moved = await transferAsync(into.byteLength, async (at, length) => {
        const { bytesRead } = await readAsync(this.#file.fd, into, at, length, offsetBytes + at);
        return bytesRead;
      });
      if (moved < into.byteLength) throw readStopped(this.#path, offsetBytes + moved);
    });
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    const written = options.fua ? this.#thenFlush(done) : done;
    this.#queue(offsetBytes, from.byteLength, 'HM_IO_WRITE', written, async () => {
      const moved = await transferAsync(from.byteLength, async (at, length) => {
        const { bytesWritten } = await writeAsync(this.#file.fd, from, at, length, offsetBytes + at);
        return bytesWritten;
      });
      if (moved < from.byteLength) throw writeStopped(this.#path, offsetBytes + moved);
    });
  }

  flush(done: Done): void {
    if (this.#closing) done(closedError(this.#path));
    else this.#commit.flush(done);
  }

  /** `HM_NOT_SUPPORTED`: what state files hold is never unneeded. */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    done(this.#refuse(offsetBytes, lengthBytes) ?? new HotMirrorError('HM_NOT_SUPPORTED', `${this.#path} cannot be trimmed`));
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: WriteOptions, done: Done): void {
    const refusal = this.#refuse(offsetBytes, lengthBytes);
    if (refusal) done(refusal);
    else this.write(offsetBytes, new Uint8Array(lengthBytes), options, done);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Appends zeroes to the file, durably. Rejects as a write does; the device is as large as before then. */
  enlarge(sizeBytes: number): Promise<void> {
    // One after the other: who asks meanwhile waits until the room is there.
    const done = this.#enlarged.then(() => this.#enlarge(sizeBytes));
    this.#enlarged = done.catch(() => undefined);
    return done;
  }

  async #enlarge(sizeBytes: number): Promise<void> {
    const moreBytes = sizeBytes - this.#sizeBytes;
    if (moreBytes <= 0) return;
    const before = this.#sizeBytes;
    this.#sizeBytes = sizeBytes;
    try {
      await new Promise<void>((resolve, reject) => {
        this.write(before, new Uint8Array(moreBytes), { fua: true }, (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      this.#sizeBytes = before;
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#lastRequest.then(() => this.#commit.idle()).then(() => this.#file.close());
    return this.#closing;
  }

  #refuse(offsetBytes: number, lengthBytes: number): HotMirrorError | null {
    return this.#closing ? closedError(this.#path) : refuseRange(this, offsetBytes, lengthBytes);
  }

  #thenFlush(done: Done): Done {
    return (error) => {
      if (error) done(error);
      else this.#commit.flush(done);
    };
  }

  #queue(offsetBytes: number, lengthBytes: number, code: 'HM_IO_READ' | 'HM_IO_WRITE', done: Done, run: () => Promise<void>): void {
    const refusal = this.#refuse(offsetBytes, lengthBytes);
    if (refusal || this.#queuedRequests >= maxQueuedRequests) {
      done(refusal ?? new HotMirrorError('HM_BUSY', `${String(maxQueuedRequests)} requests to ${this.#path} wait`));
      return;
    }
    this.#queuedRequests += 1;
    this.#lastRequest = this.#lastRequest.then(run).then(
      () => {
        this.#queuedRequests -= 1;
        done(null);
      },
      (cause: unknown) => {
        this.#queuedRequests -= 1;
        done(ioError(cause, code, this.#path));
      },
    );
  }
}
