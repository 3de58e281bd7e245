import type { BlockDevice, Done } from '../../src/device/block-device.ts';

/** A device whose flushes wait while the gate is closed, as on a slow disk. */
export class GatedFlushes {
  #closed = false;
  readonly #waiting: (() => void)[] = [];

  /** Flushes that wait. */
  get held(): number {
    return this.#waiting.length;
  }

  close(): void {
    this.#closed = true;
  }

  open(): void {
    this.#closed = false;
    for (const flush of this.#waiting.splice(0)) flush();
  }

  wrap(device: BlockDevice): BlockDevice {
    const flush = (done: Done): void => {
      if (this.#closed) this.#waiting.push(() => device.flush(done));
      else device.flush(done);
    };
    return { ...bound(device), flush };
  }
}

/** A device over memory whose writes are lost with power until they are flushed. */
export class WriteCache {
  readonly #undo: (() => void)[] = [];

  /** The power fails: what was not flushed is gone. */
  lose(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }

  wrap(device: BlockDevice): BlockDevice {
    return {
      ...bound(device),
      write: (offsetBytes, from, options, done) => {
        const before = new Uint8Array(from.byteLength);
        device.read(offsetBytes, before, ignore);
        if (!options.fua) this.#undo.push(() => device.write(offsetBytes, before, {}, ignore));
        device.write(offsetBytes, from, options, done);
      },
      flush: (done) => {
        this.#undo.length = 0;
        device.flush(done);
      },
    };
  }
}

function bound(device: BlockDevice): BlockDevice {
  return {
    sizeBytes: device.sizeBytes,
    blockSizeBytes: device.blockSizeBytes,
    capabilities: device.capabilities,
    read: (...request) => device.read(...request),
    write: (...request) => device.write(...request),
    flush: (done) => device.flush(done),
    trim: (...request) => device.trim(...request),
    writeZeroes: (...request) => device.writeZeroes(...request),
    close: () => device.close(),
  };
}

function ignore(): void {
  // Memory completes at once and does not fail.
}
