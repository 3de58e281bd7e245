import { copyOf } from '../bytes.ts';
import type { Random } from '../clock/random.ts';
import type { BlockDevice, DeviceCapabilities, Done, WriteOptions } from '../device/block-device.ts';
import { devicePromises } from '../device/promises.ts';
import { refuseRange } from '../device/requests.ts';
import type { ErrorCode, HotMirrorError } from '../errors.ts';

/** What was asked of a device. */
export type RecordedOperation = 'read' | 'write' | 'trim' | 'zeroes' | 'flush' | 'close';

/** One thing that happened at a device. */
export interface DeviceEntry {
  /** Place in the recording; one order for all devices and marks. */
  readonly at: number;
  /** `durable`: from here on a write or `zeroes` of this request survives any power cut. */
  readonly kind: `${RecordedOperation}-issued` | `${RecordedOperation}-done` | 'durable';
  /** Name of the device. */
  readonly device: string;
  /** The same for all entries of one request: the place of its `-issued` entry. */
  readonly request: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly fua: boolean;
  /** How it ended; null before the end and for success. */
  readonly error: ErrorCode | null;
}

/** Something that a test, or what it watches, put into the recording: an acknowledgement, a frame sent. */
export interface MarkEntry {
  readonly at: number;
  readonly kind: 'mark';
  readonly label: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Any entry of a recording. */
export type RecordedEntry = DeviceEntry | MarkEntry;

/** An ordered log shared by several devices, to prove that one thing was durable before another happened. Grows as long as it is used. */
export class Recording {
  readonly #entries: RecordedEntry[] = [];

  /** Everything so far, in the order it happened. */
  get entries(): readonly RecordedEntry[] {
    return this.#entries;
  }

  /** Notes that something happened now. */
  mark(label: string, details: Readonly<Record<string, unknown>> = {}): MarkEntry {
    const entry: MarkEntry = { at: this.#entries.length, kind: 'mark', label, details };
    this.#entries.push(entry);
    return entry;
  }

  /** Notes what happened at a device. A request of null is a new one. */
  note(entry: Omit<DeviceEntry, 'at' | 'request'> & { readonly request: number | null }): DeviceEntry {
    const at = this.#entries.length;
    const noted: DeviceEntry = { ...entry, at, request: entry.request ?? at };
    this.#entries.push(noted);
    return noted;
  }
}

/**
 * A change of the disk that may not have reached the medium. `open`: a later flush can make it durable. `doubtful`: none can, because it failed, a
 * flush failed after it, or it is a trim, whose range reads as anything.
 */
interface Change {
  readonly issued: DeviceEntry;
  readonly bytes: Uint8Array;
  doneAt: number | null;
  state: 'open' | 'doubtful' | 'durable';
}

/** Updates the model when a request has ended, at this place of the recording. */
type Settle = (error: HotMirrorError | null, endedAt: number) => void;

/** Errors that say that the device was not touched. */
const refusals: readonly ErrorCode[] = ['HM_OUT_OF_RANGE', 'HM_UNALIGNED', 'HM_CLOSED', 'HM_NOT_SUPPORTED', 'HM_BUSY'];

/**
 * Any device, with a record of what it was asked and how that ended, and with a model of its volatile cache: what a power cut at this moment
 * would leave. The model is the contract of `BlockDevice` read as strictly as it allows:
 *
 * - a write is durable once a flush *issued after its completion* has succeeded, or it was `fua` and has succeeded;
 * - until then it survives wholly, in any subset of its blocks, or not at all, whatever happens to other writes;
 * - of overlapping changes those issued later lie on top;
 * - a failed flush leaves every change before it in doubt for ever, as a kernel does that drops dirty pages after reporting once.
 */
export class RecordingDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  /** Name in the recording. */
  readonly name: string;
  readonly #device: BlockDevice;
  readonly #recording: Recording;
  /** The medium, with every durable change that no doubtful one precedes. */
  readonly #medium: Uint8Array;
  /** Changes after the medium, in the order issued. */
  readonly #changes: Change[] = [];

  private constructor(device: BlockDevice, name: string, recording: Recording, medium: Uint8Array) {
    this.sizeBytes = device.sizeBytes;
    this.blockSizeBytes = device.blockSizeBytes;
    this.capabilities = device.capabilities;
    this.name = name;
    this.#device = device;
    this.#recording = recording;
    this.#medium = medium;
  }

  /** Wraps a device; what it holds now counts as durable. Closing the wrapper closes the device. */
  static async wrap(device: BlockDevice, name: string, recording: Recording): Promise<RecordingDevice> {
    return RecordingDevice.over(device, name, recording, await devicePromises(device).read(0, device.sizeBytes));
  }

  /** @internal The same for one whose contents are known; they belong to the wrapper. */
  static over(device: BlockDevice, name: string, recording: Recording, contents: Uint8Array): RecordingDevice {
    return new RecordingDevice(device, name, recording, contents);
  }

  /** What a power cut now would surely leave: no change that is not durable. The caller owns it. */
  durableImage(): Uint8Array {
    return this.#image((change) => change.state === 'durable');
  }

  /** What a power cut now might leave: each change that is not durable survives wholly, block by block as chance will, or not at all. The caller owns it. */
  survivors(random: Random): Uint8Array {
    return this.#image((change) => {
      if (change.state === 'durable') return true;
      const fate = Math.floor(random.fraction() * 3);
      return fate === 2 ? () => random.fraction() < 0.5 : fate === 1;
    });
  }

  /** The changes that a power cut now may undo, wholly or in some of their blocks, in the order issued: none that is known to be durable. */
  get atRisk(): readonly DeviceEntry[] {
    return this.#changes.filter(({ state }) => state !== 'durable').map(({ issued }) => issued);
  }

  /** What a power cut now leaves where exactly these blocks of the changes at risk survive, counted from 0 in each. The caller owns it. */
  imageOf(survives: (change: DeviceEntry, block: number) => boolean): Uint8Array {
    return this.#image(({ issued, state }) => {
      let block = -1;
      return state === 'durable' ? true : () => survives(issued, (block += 1));
    });
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    const issued = this.#issued('read', offsetBytes, into.byteLength, false);
    this.#device.read(offsetBytes, into, this.#ended('read', issued, done));
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    const issued = this.#issued('write', offsetBytes, from.byteLength, options.fua ?? false);
    const change = this.#change(issued, 'open', () => copyOf(from));
    this.#device.write(offsetBytes, from, options, this.#ended('write', issued, done, this.#settle(change)));
  }

  flush(done: Done): void {
    const issued = this.#issued('flush', 0, 0, false);
    const settle: Settle = (error) => {
      if (error && refusals.includes(error.code)) return;
      for (const change of this.#changes.filter(({ state }) => state === 'open')) {
        if (error) change.state = 'doubtful';
        else if (change.doneAt !== null && change.doneAt < issued.at) this.#harden(change);
      }
      this.#fold();
    };
    this.#device.flush(this.#ended('flush', issued, done, settle));
  }

  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    const issued = this.#issued('trim', offsetBytes, lengthBytes, false);
    const change = this.#change(issued, 'doubtful', () => new Uint8Array(lengthBytes));
    this.#device.trim(offsetBytes, lengthBytes, this.#ended('trim', issued, done, this.#settle(change)));
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: WriteOptions, done: Done): void {
    const issued = this.#issued('zeroes', offsetBytes, lengthBytes, options.fua ?? false);
    const change = this.#change(issued, 'open', () => new Uint8Array(lengthBytes));
    this.#device.writeZeroes(offsetBytes, lengthBytes, options, this.#ended('zeroes', issued, done, this.#settle(change)));
  }

  async close(): Promise<void> {
    const issued = this.#issued('close', 0, 0, false);
    await this.#device.close();
    this.#recording.note({ ...issued, kind: 'close-done' });
  }

  #issued(operation: RecordedOperation, offsetBytes: number, lengthBytes: number, fua: boolean): DeviceEntry {
    return this.#recording.note({
      kind: `${operation}-issued`,
      device: this.name,
      request: null,
      offsetBytes,
      lengthBytes,
      fua,
      error: null,
    });
  }

  /** The recording and the model know of the end before the caller does. */
  #ended(operation: RecordedOperation, issued: DeviceEntry, done: Done, settle: Settle = () => undefined): Done {
    return (error) => {
      const ended = this.#recording.note({ ...issued, kind: `${operation}-done`, error: error?.code ?? null });
      settle(error, ended.at);
      done(error);
    };
  }

  #change(issued: DeviceEntry, state: 'open' | 'doubtful', bytes: () => Uint8Array): Change | null {
    if (refuseRange(this, issued.offsetBytes, issued.lengthBytes)) return null;
    const change: Change = { issued, bytes: bytes(), doneAt: null, state };
    this.#changes.push(change);
    return change;
  }

  #settle(change: Change | null): Settle {
    return (error, endedAt) => {
      if (!change) return;
      change.doneAt = endedAt;
      if (error && refusals.includes(error.code)) this.#changes.splice(this.#changes.indexOf(change), 1);
      else if (error) change.state = 'doubtful';
      else if (change.issued.fua) this.#harden(change);
      this.#fold();
    };
  }

  #harden(change: Change): void {
    change.state = 'durable';
    this.#recording.note({ ...change.issued, kind: 'durable' });
  }

  #fold(): void {
    for (let first = this.#changes[0]; first?.state === 'durable'; first = this.#changes[0]) {
      this.#medium.set(first.bytes, first.issued.offsetBytes);
      this.#changes.shift();
    }
  }

  /** The medium with what survives of each change: all, nothing, or the blocks that a function says. */
  #image(survives: (change: Change) => boolean | (() => boolean)): Uint8Array {
    const image = this.#medium.slice();
    for (const change of this.#changes) {
      const verdict = survives(change);
      for (let at = 0; at < change.bytes.byteLength; at += this.blockSizeBytes) {
        const blockSurvives = typeof verdict === 'function' ? verdict() : verdict;
        if (blockSurvives) image.set(change.bytes.subarray(at, at + this.blockSizeBytes), change.issued.offsetBytes + at);
      }
    }
    return image;
  }
}
