import type { BlockDevice, DeviceCapabilities, Done, WriteOptions } from '../../src/device/block-device.ts';

/** A disk of any size that holds zeroes whatever is written: what is left is what a mirror costs by itself. */
export class NullDevice implements BlockDevice {
  readonly blockSizeBytes = 512;
  readonly capabilities: DeviceCapabilities = { synchronous: true, trim: true, punchHole: true, exclusive: true };
  readonly sizeBytes: number;

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  read(_offsetBytes: number, into: Uint8Array, done: Done): void {
    into.fill(0);
    done(null);
  }

  write(_offsetBytes: number, _from: Uint8Array, _options: WriteOptions, done: Done): void {
    done(null);
  }

  flush(done: Done): void {
    done(null);
  }

  trim(_offsetBytes: number, _lengthBytes: number, done: Done): void {
    done(null);
  }

  writeZeroes(_offsetBytes: number, _lengthBytes: number, _options: WriteOptions, done: Done): void {
    done(null);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
