import type { AllocationPiece, BlockDevice, DeviceCapabilities, Done, WriteOptions } from '../../device/block-device.ts';
import { allData, closedError, refuseRange } from '../../device/requests.ts';
import type { HotMirrorError } from '../../errors.ts';
import type { DiskRequest } from './disk-requests.ts';

const nothing = new Uint8Array(0);

/** What a {@link DiskDevice} is a view of. */
export interface DiskDeviceOptions {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly synchronous: boolean;
  readonly punchHole: boolean;
  /** Place in the order of changes, for requests issued now. */
  readonly position: () => number;
  readonly submit: (request: DiskRequest) => void;
  /** Whether this block is known to be a hole now. */
  readonly isHole: (offsetBytes: number) => boolean;
  /** Resolves when nothing is under way any more. */
  readonly close: () => Promise<void>;
}

/** A simulated disk as one process sees it. Checks requests and hands on those that are in order. */
export class DiskDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  readonly #options: DiskDeviceOptions;
  #closing: Promise<void> | null = null;
  #dead = false;

  constructor(options: DiskDeviceOptions) {
    this.sizeBytes = options.sizeBytes;
    this.blockSizeBytes = options.blockSizeBytes;
    const { synchronous, punchHole } = options;
    this.capabilities = { synchronous, trim: true, punchHole, exclusive: true };
    this.#options = options;
  }

  /** Its process has died: nothing goes in or comes out any more. */
  get dead(): boolean {
    return this.#dead;
  }

  /** The process dies. */
  kill(): void {
    this.#dead = true;
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#request('read', offsetBytes, into, false, done);
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    this.#request('write', offsetBytes, from, options.fua ?? false, done);
  }

  flush(done: Done): void {
    this.#request('flush', 0, nothing, false, done);
  }

  /** Trimmed ranges read as zeroes. */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    this.writeZeroes(offsetBytes, lengthBytes, {}, done);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: WriteOptions, done: Done): void {
    const refusal = this.#refuse(offsetBytes, lengthBytes);
    if (refusal) this.#end(done, refusal);
    else this.write(offsetBytes, new Uint8Array(lengthBytes), options, done);
  }

  /** Only one that can punch holes knows where they are. */
  allocation(offsetBytes: number, lengthBytes: number, mostPieces: number): readonly AllocationPiece[] {
    if (!this.capabilities.punchHole || this.#dead || this.#refuse(offsetBytes, lengthBytes)) return allData(lengthBytes);
    const pieces: { lengthBytes: number; readonly hole: boolean }[] = [];
    for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += this.blockSizeBytes) {
      const hole = this.#options.isHole(at);
      const last = pieces.at(-1);
      if (last?.hole === hole) last.lengthBytes += this.blockSizeBytes;
      else if (pieces.length < mostPieces) pieces.push({ lengthBytes: this.blockSizeBytes, hole });
      else break;
    }
    return pieces;
  }

  close(): Promise<void> {
    if (this.#dead) return new Promise<void>(() => undefined);
    this.#closing ??= this.#options.close();
    return this.#closing;
  }

  #request(kind: DiskRequest['kind'], offsetBytes: number, bytes: Uint8Array, fua: boolean, done: Done): void {
    const refusal = this.#refuse(offsetBytes, bytes.byteLength);
    if (refusal) this.#end(done, refusal);
    else if (!this.#dead) this.#options.submit({ kind, offsetBytes, bytes, fua, position: this.#options.position(), done });
  }

  #end(done: Done, error: HotMirrorError): void {
    if (!this.#dead) done(error);
  }

  #refuse(offsetBytes: number, lengthBytes: number): HotMirrorError | null {
    return this.#closing ? closedError('the simulated disk') : refuseRange(this, offsetBytes, lengthBytes);
  }
}
