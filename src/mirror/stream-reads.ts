import type { BlockDevice } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import { SpareBuffers } from './spare-buffers.ts';

/** Buffers that are kept for the next read of the same length: as many as a window holds, and some. */
const mostSpare = 16;

/** What these reads are made of. */
export interface StreamReadsOptions {
  readonly device: BlockDevice;
  /** A read is over that was not over at once: what waited for its range, or for its end, may go on. */
  readonly unlocked: () => void;
}

/**
 * Reads of the source's element whose result takes a place in the stream (rule resync.newer): while one is under way, writes to its range wait. So what it
 * finds is what the stream before it made, and what is sent of it stands before every later write. One at a time, whoever asks.
 */
export class StreamReads {
  readonly #options: StreamReadsOptions;
  readonly #buffers = new SpareBuffers(mostSpare);
  #reading: { readonly offsetBytes: number; readonly lengthBytes: number } | null = null;

  constructor(options: StreamReadsOptions) {
    this.#options = options;
  }

  /** One is under way. */
  get busy(): boolean {
    return this.#reading !== null;
  }

  /** Whether a write to the range must wait. */
  locks(offsetBytes: number, lengthBytes: number): boolean {
    const reading = this.#reading;
    return reading !== null && offsetBytes < reading.offsetBytes + reading.lengthBytes && reading.offsetBytes < offsetBytes + lengthBytes;
  }

  /** How much of a range, from its beginning, need not be read, for it is a hole. What is made of it must be sent at once. */
  holeBytes(offsetBytes: number, lengthBytes: number): number {
    const [first] = this.#options.device.allocation?.(offsetBytes, lengthBytes, 1) ?? [];
    return first?.hole === true ? first.lengthBytes : 0;
  }

  /** Reads a range; `then` must send at once what it makes of it, and whoever has no use for the bytes any more releases them. Returns whether it was over at once. */
  read(offsetBytes: number, lengthBytes: number, then: (error: HotMirrorError | null, bytes: Uint8Array) => void): boolean {
    const bytes = this.#buffers.take(lengthBytes);
    this.#reading = { offsetBytes, lengthBytes };
    let inCall = true;
    let atOnce = false;
    this.#options.device.read(offsetBytes, bytes, (error) => {
      this.#reading = null;
      atOnce = inCall;
      then(error, bytes);
      if (!inCall) this.#options.unlocked();
    });
    inCall = false;
    return atOnce;
  }

  /** Nobody looks at these bytes of a read any more. */
  release(bytes: Uint8Array): void {
    this.#buffers.release(bytes);
  }
}
