import { read } from 'node:fs';
import { promisify } from 'node:util';

import type { HotMirrorError } from '../errors.ts';
import type { Done } from './block-device.ts';
import { ioError, readStopped } from './file-errors.ts';
import { transferAsync } from './transfer.ts';

const readAsync = promisify(read);

/** Threads of libuv's pool, which the whole process shares, unless `UV_THREADPOOL_SIZE` says otherwise. */
const usualThreads = 4;
const fewestAtOnce = 2;
const mostAtOnce = 8;
/** Reads of one device take at most an eighth of the pool. */
const shareOfPool = 8;

/** Reads that may wait for their turn. */
const maxWaitingReads = 65_536;

/** A read that waits, or is with the pool. */
interface PooledRead {
  readonly offsetBytes: number;
  readonly into: Uint8Array;
  readonly done: Done;
  /** What it is to find, because the range has been changed since it was asked for; null: what the pool finds. */
  found: Found | null;
}

interface Found {
  readonly bytes: Uint8Array;
  readonly error: HotMirrorError | null;
}

/** What pooled reads work on. */
export interface PooledReadsOptions {
  readonly fd: number;
  /** For messages. */
  readonly path: string;
  /** Reads that are with the pool at once. */
  readonly mostAtOnce: number;
  /** Reads at once, in the calling thread. */
  readonly readHere: (offsetBytes: number, into: Uint8Array) => HotMirrorError | null;
}

/**
 * How many reads of a device are with libuv's pool at once, by the value of `UV_THREADPOOL_SIZE`. On a disk that hangs they and a flush must leave threads to the state files and to the other disks:
 * of the usual four, two reads and a flush leave one.
 */
export function readsAtOnce(threadPoolSize: string | undefined): number {
  const threads = Number(threadPoolSize ?? usualThreads) || usualThreads;
  return Math.min(mostAtOnce, Math.max(fewestAtOnce, Math.floor(threads / shareOfPool)));
}

/** Reads of a file in libuv's pool, while changes of it go on in the calling thread: each read finds what was there when it was asked for. */
export class PooledReads {
  readonly #options: PooledReadsOptions;
  /** All that are not over. */
  readonly #reads = new Set<PooledRead>();
  readonly #waiting: PooledRead[] = [];
  #running = 0;
  #whenIdle: (() => void)[] = [];

  constructor(options: PooledReadsOptions) {
    this.#options = options;
  }

  /** No more may be asked for. */
  get full(): boolean {
    return this.#waiting.length >= maxWaitingReads;
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    const asked: PooledRead = { offsetBytes, into, done, found: null };
    this.#reads.add(asked);
    this.#waiting.push(asked);
    this.#pump();
  }

  /** The range is about to be changed: reads that are not over get what it holds now. */
  beforeChange(offsetBytes: number, lengthBytes: number): void {
    for (const one of this.#reads)
      if (!one.found && one.offsetBytes < offsetBytes + lengthBytes && offsetBytes < one.offsetBytes + one.into.byteLength) {
        // Not into the reader's memory: the pool may be about to fill that.
        const bytes = new Uint8Array(one.into.byteLength);
        one.found = { bytes, error: this.#options.readHere(one.offsetBytes, bytes) };
      }
  }

  /** Resolves when none is left. */
  idle(): Promise<void> {
    if (this.#reads.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #pump(): void {
    while (this.#running < this.#options.mostAtOnce) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#running += 1;
      void this.#carryOut(next);
    }
  }

  async #carryOut(one: PooledRead): Promise<void> {
    const error = await this.#readFully(one);
    if (one.found && !one.found.error) one.into.set(one.found.bytes);
    this.#running -= 1;
    this.#reads.delete(one);
    one.done(one.found ? one.found.error : error);
    this.#pump();
    if (this.#reads.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  async #readFully({ offsetBytes, into, found }: PooledRead): Promise<HotMirrorError | null> {
    if (found) return null;
    const { fd, path } = this.#options;
    try {
      const moved = await transferAsync(into.byteLength, async (at, length) => {
        const { bytesRead } = await readAsync(fd, into, at, length, offsetBytes + at);
        return bytesRead;
      });
      return moved < into.byteLength ? readStopped(path, offsetBytes + moved) : null;
    } catch (cause) {
      return ioError(cause, 'HM_IO_READ', path);
    }
  }
}
