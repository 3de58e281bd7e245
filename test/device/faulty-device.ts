import type { BlockDevice, DeviceCapabilities, Done, WriteOptions } from '../../src/device/block-device.ts';
import { HotMirrorError } from '../../src/errors.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';

/** What goes wrong, and when. */
export interface Faults {
  /** Called before each write and flush. */
  before?(): void;
  failRead?(offsetBytes: number): boolean;
  failWrite?(): boolean;
  /** Told which flush this is, from 1. */
  failFlush?(count: number): boolean;
  /** A failed write writes the blocks that chance says; absent: none. */
  readonly tear?: SeededRandom;
}

/** A device that fails as told. A failed write may leave some of its blocks, a failed flush may have made everything durable or nothing. */
export class FaultyDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  readonly #device: BlockDevice;
  readonly #faults: Faults;
  #flushes = 0;

  constructor(device: BlockDevice, faults: Faults) {
    this.sizeBytes = device.sizeBytes;
    this.blockSizeBytes = device.blockSizeBytes;
    this.capabilities = device.capabilities;
    this.#device = device;
    this.#faults = faults;
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    if (this.#faults.failRead?.(offsetBytes)) done(new HotMirrorError('HM_IO_READ', 'a bad sector'));
    else this.#device.read(offsetBytes, into, done);
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    this.#faults.before?.();
    if (!this.#faults.failWrite?.()) {
      this.#device.write(offsetBytes, from, options, done);
      return;
    }
    for (let at = 0; at < from.byteLength; at += this.blockSizeBytes) {
      const block = from.subarray(at, at + this.blockSizeBytes);
      if (this.#faults.tear?.below(2) === 0) this.#device.write(offsetBytes + at, block, {}, () => undefined);
    }
    done(new HotMirrorError('HM_IO_WRITE', 'a write that failed'));
  }

  flush(done: Done): void {
    this.#faults.before?.();
    this.#flushes += 1;
    const fail = (): void => {
      done(new HotMirrorError('HM_IO_FLUSH', 'a flush that failed'));
    };
    if (!this.#faults.failFlush?.(this.#flushes)) this.#device.flush(done);
    else if (this.#faults.tear?.below(2) === 0) this.#device.flush(fail);
    else fail();
  }

  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    this.#device.trim(offsetBytes, lengthBytes, done);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: WriteOptions, done: Done): void {
    this.#device.writeZeroes(offsetBytes, lengthBytes, options, done);
  }

  close(): Promise<void> {
    return this.#device.close();
  }
}
