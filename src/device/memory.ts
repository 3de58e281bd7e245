import type { Clock } from '../clock/clock.ts';
import type { HotMirrorError } from '../errors.ts';
import type { BlockDevice, DeviceCapabilities, Done, WriteOptions } from './block-device.ts';
import { assertBlockSize, closedError, refuseRange } from './requests.ts';

const defaultBlockSizeBytes = 512;

/** When requests complete: before their call returns, or by a timer of the clock, in the order issued. */
export type MemoryCompletion = 'sync' | { readonly clock: Clock; readonly delayMs: number };

/** What a {@link MemoryDevice} is made of. */
export interface MemoryDeviceOptions {
  /** A multiple of the block size. */
  readonly sizeBytes: number;
  /** A power of two. Default 512. */
  readonly blockSizeBytes?: number;
  /** Default `sync`. */
  readonly completion?: MemoryCompletion;
  /** The bytes to work on, `sizeBytes` of them, not copied: what an earlier device held can be opened again. Default zeroes. */
  readonly contents?: Uint8Array;
}

/**
 * A disk in memory, which nothing survives: every completed write counts as durable.
 *
 * With a `completion` by the clock each request takes effect when it completes, `delayMs` after it was issued, so a caller that touches
 * its buffer too early, or counts on completion inside the call, is found out.
 */
export class MemoryDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  /** The bytes of the disk, live. */
  readonly contents: Uint8Array;
  readonly #completion: MemoryCompletion;
  /** Requests under way, in the order issued. */
  readonly #queue: (() => void)[] = [];
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;

  /** Throws `RangeError` for a size that is not whole blocks, or contents of another size. */
  constructor(options: MemoryDeviceOptions) {
    const { sizeBytes, blockSizeBytes = defaultBlockSizeBytes, completion = 'sync' } = options;
    assertBlockSize(blockSizeBytes);
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes % blockSizeBytes !== 0) {
      throw new RangeError(`sizeBytes must be a multiple of ${String(blockSizeBytes)}, not ${String(sizeBytes)}`);
    }
    const contents = options.contents ?? new Uint8Array(sizeBytes);
    if (contents.byteLength !== sizeBytes)
      throw new RangeError(`contents must hold ${String(sizeBytes)} bytes, not ${String(contents.byteLength)}`);
    this.sizeBytes = sizeBytes;
    this.blockSizeBytes = blockSizeBytes;
    this.contents = contents;
    this.capabilities = { synchronous: completion === 'sync', trim: true, punchHole: false, exclusive: true };
    this.#completion = completion;
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#request(refuseRange(this, offsetBytes, into.byteLength), done, () => {
      into.set(this.contents.subarray(offsetBytes, offsetBytes + into.byteLength));
    });
  }

  write(offsetBytes: number, from: Uint8Array, _options: WriteOptions, done: Done): void {
    this.#request(refuseRange(this, offsetBytes, from.byteLength), done, () => {
      this.contents.set(from, offsetBytes);
    });
  }

  flush(done: Done): void {
    this.#request(null, done, () => undefined);
  }

  /** Trimmed ranges read as zeroes. */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    this.writeZeroes(offsetBytes, lengthBytes, {}, done);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, _options: WriteOptions, done: Done): void {
    this.#request(refuseRange(this, offsetBytes, lengthBytes), done, () => {
      this.contents.fill(0, offsetBytes, offsetBytes + lengthBytes);
    });
  }

  /** Lets go of what it holds; closing again resolves too. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      if (this.#queue.length === 0) resolve();
      else this.#onIdle = resolve;
    });
    return this.#closing;
  }

  #request(refusal: HotMirrorError | null, done: Done, effect: () => void): void {
    const error = this.#closing ? closedError('the memory device') : refusal;
    if (this.#completion === 'sync' || error) {
      if (!error) effect();
      done(error);
      return;
    }
    this.#queue.push(() => {
      effect();
      done(null);
    });
    this.#completion.clock.timer(this.#completion.delayMs, () => {
      this.#completeOldest();
    });
  }

  /** Each timer completes the oldest request, so the order holds whatever order the timers fire in. */
  #completeOldest(): void {
    this.#queue.shift()?.();
    if (this.#queue.length === 0) this.#onIdle?.();
  }
}
