import { MemoryDevice } from '../../../src/device/memory.ts';
import type { MemoryCompletion } from '../../../src/device/memory.ts';
import type { BlockDevice, Done } from '../../../src/device/block-device.ts';
import type { Random } from '../../../src/clock/random.ts';
import { Recording, RecordingDevice } from '../../../src/testing/recording-device.ts';

/** One disk of a node: what it holds outlives processes, and what its cache holds does not outlive a power cut. */
export class SimulatedDisk {
  readonly #blockSizeBytes: number;
  readonly #completion: MemoryCompletion;
  #contents: Uint8Array;
  #recording: RecordingDevice | null = null;
  #gate: { open: boolean } = { open: false };

  constructor(contents: Uint8Array, blockSizeBytes: number, completion: MemoryCompletion) {
    this.#contents = contents;
    this.#blockSizeBytes = blockSizeBytes;
    this.#completion = completion;
  }

  /** What a reader would find now. */
  get contents(): Uint8Array {
    return this.#contents;
  }

  /** The disk as a process opens it. What it held counts as durable: whoever opens flushes before relying on it. */
  async open(): Promise<BlockDevice> {
    const memory = new MemoryDevice({
      sizeBytes: this.#contents.byteLength,
      blockSizeBytes: this.#blockSizeBytes,
      contents: this.#contents,
      completion: this.#completion,
    });
    this.#recording = await RecordingDevice.wrap(new MemoryDeviceView(memory), 'disk', new Recording());
    this.#gate = { open: true };
    return gated(this.#recording, this.#gate);
  }

  /** The process is dead: it reaches the disk no more, nor the disk it. */
  detach(): void {
    this.#gate.open = false;
    this.#contents = this.#contents.slice();
  }

  /** The machine is dead. */
  cutPower(random: Random): void {
    const left = this.#recording?.survivors(random) ?? this.#contents;
    this.detach();
    this.#contents = left;
  }
}

/** A device that reads synchronously while it is wrapped, whatever its completion: the wrapper takes its first image at once. */
class MemoryDeviceView implements BlockDevice {
  readonly #memory: MemoryDevice;
  #first = true;

  constructor(memory: MemoryDevice) {
    this.#memory = memory;
  }

  get sizeBytes(): number {
    return this.#memory.sizeBytes;
  }

  get blockSizeBytes(): number {
    return this.#memory.blockSizeBytes;
  }

  get capabilities(): BlockDevice['capabilities'] {
    return this.#memory.capabilities;
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    if (!this.#first) {
      this.#memory.read(offsetBytes, into, done);
      return;
    }
    this.#first = false;
    into.set(this.#memory.contents.subarray(offsetBytes, offsetBytes + into.byteLength));
    done(null);
  }

  write(...request: Parameters<BlockDevice['write']>): void {
    this.#memory.write(...request);
  }

  flush(done: Done): void {
    this.#memory.flush(done);
  }

  trim(...request: Parameters<BlockDevice['trim']>): void {
    this.#memory.trim(...request);
  }

  writeZeroes(...request: Parameters<BlockDevice['writeZeroes']>): void {
    this.#memory.writeZeroes(...request);
  }

  close(): Promise<void> {
    return this.#memory.close();
  }
}

/** While the gate is closed nothing goes in and nothing comes out. */
function gated(device: BlockDevice, gate: { readonly open: boolean }): BlockDevice {
  const out = (done: Done): Done => {
    return (error) => {
      if (gate.open) done(error);
    };
  };
  const into = (request: () => void): void => {
    if (gate.open) request();
  };
  return {
    sizeBytes: device.sizeBytes,
    blockSizeBytes: device.blockSizeBytes,
    capabilities: device.capabilities,
    read: (offsetBytes, bytes, done) => into(() => device.read(offsetBytes, bytes, out(done))),
    write: (offsetBytes, bytes, options, done) => into(() => device.write(offsetBytes, bytes, options, out(done))),
    flush: (done) => into(() => device.flush(out(done))),
    trim: (offsetBytes, lengthBytes, done) => into(() => device.trim(offsetBytes, lengthBytes, out(done))),
    writeZeroes: (offsetBytes, lengthBytes, options, done) => into(() => device.writeZeroes(offsetBytes, lengthBytes, options, out(done))),
    close: () => (gate.open ? device.close() : new Promise<void>(() => undefined)),
  };
}
