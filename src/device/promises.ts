import type { BlockDevice, Done, WriteOptions } from './block-device.ts';

/** The same requests with promises, for code where clarity counts more than speed. */
export interface DevicePromises {
  /** Reads `lengthBytes` into a new buffer, which the caller owns. */
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  /** As `BlockDevice.write`. */
  write(offsetBytes: number, from: Uint8Array, options?: WriteOptions): Promise<void>;
  /** As `BlockDevice.flush`. */
  flush(): Promise<void>;
  /** As `BlockDevice.trim`. */
  trim(offsetBytes: number, lengthBytes: number): Promise<void>;
  /** As `BlockDevice.writeZeroes`. */
  writeZeroes(offsetBytes: number, lengthBytes: number, options?: WriteOptions): Promise<void>;
}

/** Wraps a device's callbacks; promises reject with the device's typed errors. */
export function devicePromises(device: BlockDevice): DevicePromises {
  return {
    async read(offsetBytes, lengthBytes) {
      const into = new Uint8Array(lengthBytes);
      await settled((done) => device.read(offsetBytes, into, done));
      return into;
    },
    write: (offsetBytes, from, options = {}) => settled((done) => device.write(offsetBytes, from, options, done)),
    flush: () => settled((done) => device.flush(done)),
    trim: (offsetBytes, lengthBytes) => settled((done) => device.trim(offsetBytes, lengthBytes, done)),
    writeZeroes: (offsetBytes, lengthBytes, options = {}) => settled((done) => device.writeZeroes(offsetBytes, lengthBytes, options, done)),
  };
}

function settled(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
