import type { BlockDevice, Done } from '../../../src/device/block-device.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import { MemoryDevice } from '../../../src/device/memory.ts';
import type { MemoryCompletion } from '../../../src/device/memory.ts';
import { RecordingDevice } from '../../../src/testing/recording-device.ts';
import type { Recording } from '../../../src/testing/recording-device.ts';
import type { NodeName } from '../support/mirror-pair.ts';

/** What a node keeps: its element, the element's metadata, its pair record, its undo journal, the salvage file of its element. */
export const diskNames = ['element', 'metadata', 'record', 'undo', 'salvage'] as const;
/** The name of one of them. */
export type DiskName = (typeof diskNames)[number];

/** Blocks that a disk writes as a whole: a longer write may be torn between any two of them. */
export const sectorBytes = 512;

/** A write that is about to reach a disk: a place where a node may crash. */
export interface WritePoint {
  readonly node: NodeName;
  readonly disk: DiskName;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A disk whose contents outlive processes. It tells of each write before that takes effect, and who is told may end the process there and then. */
export class CrashDisk {
  readonly node: NodeName;
  readonly name: DiskName;
  /** Where sectors begin that cannot be read until they are written. */
  readonly bad = new Set<number>();
  /** It takes no writes any more. */
  failsWrites = false;
  /** It says that what it was given may be lost. */
  failsFlushes = false;
  readonly #completion: MemoryCompletion;
  readonly #writes: (point: WritePoint) => void;
  #contents: Uint8Array;
  #device: RecordingDevice | null = null;
  #gate: { open: boolean } = { open: false };

  constructor(node: NodeName, name: DiskName, contents: Uint8Array, completion: MemoryCompletion, writes: (point: WritePoint) => void) {
    this.node = node;
    this.name = name;
    this.#contents = contents;
    this.#completion = completion;
    this.#writes = writes;
  }

  /** What a reader would find now. */
  get contents(): Uint8Array {
    return this.#contents;
  }

  /** The disk as the process that has it open sees it, with what a power cut would leave. */
  get recording(): RecordingDevice | null {
    return this.#device;
  }

  /** What it holds from now on, for whoever opens it next. */
  restore(contents: Uint8Array): void {
    this.#gate.open = false;
    this.#device = null;
    this.#contents = contents;
  }

  /** Another disk is in its place. */
  replace(contents: Uint8Array): void {
    this.restore(contents);
    this.bad.clear();
    this.failsWrites = this.failsFlushes = false;
  }

  /** What lies there can be read again. */
  rewritten(offsetBytes: number, lengthBytes: number): void {
    for (const at of this.bad) if (at >= offsetBytes && at < offsetBytes + lengthBytes) this.bad.delete(at);
  }

  open(recording: Recording): BlockDevice {
    const { sizeBytes, contents } = { sizeBytes: this.#contents.byteLength, contents: this.#contents };
    const memory = new MemoryDevice({ sizeBytes, blockSizeBytes: sectorBytes, contents, completion: this.#completion });
    const gate = { open: true };
    this.#gate = gate;
    const what = `${this.node}:${this.name}`;
    this.#device = RecordingDevice.over(this.#telling(memory, gate), what, recording, contents.slice());
    return gated(this.#device, gate);
  }

  /** The process is dead: it reaches the disk no more, nor the disk it. */
  detach(): void {
    this.#gate.open = false;
    this.#device = null;
    // What the dead process had asked for and was not done yet must reach nobody.
    if (this.#completion !== 'sync') this.#contents = this.#contents.slice();
  }

  #telling(memory: MemoryDevice, gate: { readonly open: boolean }): BlockDevice {
    const point = (offsetBytes: number, lengthBytes: number): boolean => {
      this.#writes({ node: this.node, disk: this.name, offsetBytes, lengthBytes });
      return gate.open;
    };
    const write = (offsetBytes: number, lengthBytes: number, done: Done, carryOut: () => void): void => {
      if (!point(offsetBytes, lengthBytes)) return;
      if (this.failsWrites) {
        done(new HotMirrorError('HM_IO_WRITE', 'the disk takes no writes'));
        return;
      }
      this.rewritten(offsetBytes, lengthBytes);
      carryOut();
    };
    return {
      sizeBytes: memory.sizeBytes,
      blockSizeBytes: memory.blockSizeBytes,
      capabilities: memory.capabilities,
      read: (offsetBytes, into, done) => {
        const end = offsetBytes + into.byteLength;
        if ([...this.bad].some((at) => at < end && at + sectorBytes > offsetBytes)) done(new HotMirrorError('HM_IO_READ', 'a bad sector'));
        else memory.read(offsetBytes, into, done);
      },
      write: (offsetBytes, from, options, done) => {
        write(offsetBytes, from.byteLength, done, () => memory.write(offsetBytes, from, options, done));
      },
      flush: (done) => {
        if (this.failsFlushes) done(new HotMirrorError('HM_IO_FLUSH', 'the cache is gone'));
        else memory.flush(done);
      },
      trim: (offsetBytes, lengthBytes, done) => memory.trim(offsetBytes, lengthBytes, done),
      writeZeroes: (offsetBytes, lengthBytes, options, done) => {
        write(offsetBytes, lengthBytes, done, () => memory.writeZeroes(offsetBytes, lengthBytes, options, done));
      },
      close: () => memory.close(),
    };
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
