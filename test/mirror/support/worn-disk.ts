import type { BlockDevice, Done } from '../../../src/device/block-device.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';

/** A disk that wears out: some of its blocks cannot be read until they are written, or it takes no writes any more. */
export class WornDisk {
  /** Offsets of blocks that cannot be read. */
  readonly bad = new Set<number>();
  /** With what every write fails; null: it works. */
  failWrites: ErrorCode | null = null;
  failFlushes = false;
  /** What it was asked for, in order. */
  readonly log: string[] = [];
  readonly #blockBytes: number;

  constructor(blockBytes: number) {
    this.#blockBytes = blockBytes;
  }

  wrap(device: BlockDevice): BlockDevice {
    return {
      ...device,
      read: (offsetBytes, into, done) => {
        this.log.push(`read ${String(offsetBytes)}`);
        if (this.#blocks(offsetBytes, into.byteLength).some((block) => this.bad.has(block))) {
          into.fill(0xee);
          done(new HotMirrorError('HM_IO_READ', 'a bad block'));
        } else {
          device.read(offsetBytes, into, done);
        }
      },
      write: (offsetBytes, from, options, done) => {
        this.log.push(`write ${String(offsetBytes)}`);
        this.#change(offsetBytes, from.byteLength, done, () => device.write(offsetBytes, from, options, done));
      },
      writeZeroes: (offsetBytes, lengthBytes, options, done) => {
        this.#change(offsetBytes, lengthBytes, done, () => device.writeZeroes(offsetBytes, lengthBytes, options, done));
      },
      flush: (done) => {
        if (this.failFlushes) done(new HotMirrorError('HM_IO_FLUSH', 'the cache is gone'));
        else device.flush(done);
      },
      // Methods of a class are not spread.
      trim: (offsetBytes, lengthBytes, done) => device.trim(offsetBytes, lengthBytes, done),
      close: () => device.close(),
    };
  }

  #change(offsetBytes: number, lengthBytes: number, done: Done, carryOut: () => void): void {
    if (this.failWrites !== null) {
      done(new HotMirrorError(this.failWrites, 'the disk takes no writes'));
      return;
    }
    for (const block of this.#blocks(offsetBytes, lengthBytes)) this.bad.delete(block);
    carryOut();
  }

  #blocks(offsetBytes: number, lengthBytes: number): readonly number[] {
    return Array.from({ length: Math.ceil(lengthBytes / this.#blockBytes) }, (_, at) => offsetBytes + at * this.#blockBytes);
  }
}
