import type { BlockDevice, DeviceCapabilities, Done, WriteOptions, ZeroesOptions } from '../../../src/device/block-device.ts';

/** A device whose requests are carried out only while its gate is open; those that wait keep their order. */
export class GatedDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  /** Writes carried out, by their offsets. */
  readonly written: number[] = [];
  /** Writes that came in, carried out or not. */
  readonly asked: number[] = [];
  flushes = 0;
  readonly #device: BlockDevice;
  #shut = false;
  #waiting: { readonly offsetBytes: number | null; readonly start: () => void }[] = [];

  constructor(device: BlockDevice) {
    this.#device = device;
    this.sizeBytes = device.sizeBytes;
    this.blockSizeBytes = device.blockSizeBytes;
    this.capabilities = { ...device.capabilities, synchronous: false };
  }

  /** From now on requests wait. */
  shut(): void {
    this.#shut = true;
  }

  /** Carries out what waits, and what comes. */
  open(): void {
    this.#shut = false;
    for (const { start } of this.#waiting.splice(0)) start();
  }

  /** Carries out one of the writes that wait, ahead of the others, as a device may that does not keep the order. */
  pass(offsetBytes: number): void {
    const at = this.#waiting.findIndex((waiting) => waiting.offsetBytes === offsetBytes);
    if (at < 0) throw new Error(`no write at ${String(offsetBytes)} waits`);
    this.#waiting.splice(at, 1)[0]?.start();
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#when(null, () => {
      this.#device.read(offsetBytes, into, done);
    });
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    this.asked.push(offsetBytes);
    this.#when(offsetBytes, () => {
      this.written.push(offsetBytes);
      this.#device.write(offsetBytes, from, options, done);
    });
  }

  flush(done: Done): void {
    this.#when(null, () => {
      this.flushes += 1;
      this.#device.flush(done);
    });
  }

  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    this.#when(offsetBytes, () => {
      this.#device.trim(offsetBytes, lengthBytes, done);
    });
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: ZeroesOptions, done: Done): void {
    this.#when(offsetBytes, () => {
      this.#device.writeZeroes(offsetBytes, lengthBytes, options, done);
    });
  }

  /** Resolves once the gate is open. */
  opened(): Promise<void> {
    return new Promise((resolve) => this.#when(null, resolve));
  }

  close(): Promise<void> {
    return this.#device.close();
  }

  #when(offsetBytes: number | null, start: () => void): void {
    if (this.#shut) this.#waiting.push({ offsetBytes, start });
    else start();
  }
}
