import { copyOf } from '../bytes.ts';
import { HotMirrorError } from '../errors.ts';
import type { BlockDevice } from './block-device.ts';
import { devicePromises } from './promises.ts';
import type { DevicePromises } from './promises.ts';
import { capacityBytes, emptySequence, encodeSlot, headerBytes, judgeSlot, magicBytes } from './record-slot.ts';
import type { SlotKind, SlotState } from './record-slot.ts';

/** Writes that may wait for their turn; more reject with `HM_BUSY`. */
const maxQueuedWrites = 64;

/** Where a record lies and what it is. */
export interface RecordLayout extends SlotKind {
  /** Where the first copy begins; the second follows it. A multiple of the device's block size. */
  readonly offsetBytes: number;
  /** Size of one copy, its header of 32 bytes included. A multiple of the device's block size. */
  readonly slotBytes: number;
}

/** One of the two places of a record. */
type SlotIndex = 0 | 1;

/**
 * One small record that is replaced as a whole and survives crashes: two copies, written alternately, each with checksum and sequence number,
 * so that a torn write of one leaves the other (semantics 3).
 *
 * What counts as **never written** (`payload` null) is narrow, because a damaged record that passes as blank would let an element with data be
 * taken for an empty one. The first write of all therefore fills both copies before it resolves. Where the record was prepared
 * ({@link emptyRecord}), a good copy says that nothing was written yet, and a first write may be torn anywhere. On a blank device it brings the
 * block with the first copy's header to the disk last: a crash meanwhile leaves that block zero and the second copy untouched, and only this is
 * "never written" beside two copies of zeroes; it relies on blocks that are written as a whole. One damaged copy and nothing else is
 * `HM_METADATA_CORRUPT`.
 */
export class DurableRecord {
  /**
   * Copies that `load` found unusable while the other was good; the next write repairs them. The caller reports `metadata:repaired`.
   */
  readonly damagedCopies: 0 | 1;
  /** That copy could not be read at all: what a {@link DurableRecord.write} made durable may have been in it alone. A copy that is torn never was durable. */
  readonly mayBeOlder: boolean;
  readonly #io: DevicePromises;
  readonly #layout: RecordLayout;
  readonly #blockSizeBytes: number;
  /** A good copy was there when it was loaded, if only one that says that nothing was written yet. */
  readonly #prepared: boolean;
  #payload: Uint8Array | null;
  #sequence: number;
  #payloadVersion: number | null;
  /** The copy that the next write replaces. The other is the last good one, where there is one. */
  #target: SlotIndex;
  #lastWrite: Promise<void> = Promise.resolve();
  #queuedWrites = 0;

  private constructor(device: BlockDevice, layout: RecordLayout, slots: readonly [SlotState, SlotState]) {
    const { current, target } = choose(slots);
    this.#io = devicePromises(device);
    this.#layout = layout;
    this.#blockSizeBytes = device.blockSizeBytes;
    this.#prepared = current !== null;
    this.#payload = payloadOf(current);
    this.#sequence = current?.sequence ?? emptySequence;
    this.#payloadVersion = this.#payload && current ? current.version : null;
    this.#target = target;
    this.mayBeOlder = current !== null && slots[target].state === 'unreadable';
    this.damagedCopies = current && slots[target].state !== 'valid' && !firstWriteCutShort(slots) ? 1 : 0;
  }

  /**
   * Reads both copies. It flushes the device first: what a killed process left only in a cache must be durable before anyone acts on it. Where one copy alone
   * holds the newest payload it is written anew, in its place: after a flush that failed it can be read, and no later flush makes it durable.
   *
   * Rejects with `HM_METADATA_CORRUPT` when no copy is good and the record may once have been written, `HM_METADATA_VERSION` when a good copy is
   * of a newer version, the device's errors, and `RangeError` for an impossible layout.
   */
  static async load(device: BlockDevice, layout: RecordLayout): Promise<DurableRecord> {
    assertLayout(device, layout);
    await devicePromises(device).flush();
    const slots: readonly [SlotState, SlotState] = [await readSlot(device, layout, 0), await readSlot(device, layout, 1)];
    assertUsable(layout, slots);
    const record = new DurableRecord(device, layout, slots);
    if (!alike(slots)) await record.#secure();
    return record;
  }

  /** The payload last known to be durable; null when the record was never written. Not to be changed. */
  get payload(): Uint8Array | null {
    return this.#payload;
  }

  /** Counts the writes; 0 when there was none. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The version that the payload was written with, at most that of the layout; null when the record was never written. */
  get payloadVersion(): number | null {
    return this.#payloadVersion;
  }

  /** Whether a first write may be torn anywhere: see the class. */
  get prepared(): boolean {
    return this.#prepared;
  }

  /** Longest payload in bytes. */
  get capacityBytes(): number {
    return capacityBytes(this.#layout.slotBytes);
  }

  /**
   * Replaces the payload, which is copied at once; resolves when it is durable. Calls take effect in their order.
   * After a rejection the next `load` may find either payload, and the same copy is used again: the last good one is never touched.
   *
   * Rejects with the device's errors, `HM_BUSY` when too many writes wait, and `RangeError` when the payload is too long.
   */
  write(payload: Uint8Array): Promise<void> {
    return this.#queue(payload, (copy) => (this.#payload === null ? this.#writeFirst(copy) : this.#writeNext(copy)));
  }

  /** As {@link DurableRecord.write}, but both copies hold the payload when it resolves: for changes that must survive the loss of one copy. */
  writeBoth(payload: Uint8Array): Promise<void> {
    return this.#queue(payload, async (copy) => {
      if (this.#payload === null) {
        await this.#writeFirst(copy);
        return;
      }
      await this.#writeNext(copy);
      await this.#repeat(copy);
    });
  }

  async #queue(payload: Uint8Array, write: (copy: Uint8Array) => Promise<void>): Promise<void> {
    if (payload.byteLength > this.capacityBytes) {
      throw new RangeError(`a payload of ${String(payload.byteLength)} bytes does not fit: ${String(this.capacityBytes)} at most`);
    }
    if (this.#queuedWrites >= maxQueuedWrites)
      throw new HotMirrorError('HM_BUSY', `${String(maxQueuedWrites)} writes of ${this.#layout.magic} wait`);
    this.#queuedWrites += 1;
    const copy = copyOf(payload);
    const result = this.#lastWrite.then(() => write(copy));
    this.#lastWrite = result.catch(() => undefined).finally(() => (this.#queuedWrites -= 1));
    await result;
  }

  /** The first write of all: see the class for why the header comes last on a blank device. */
  async #writeFirst(payload: Uint8Array): Promise<void> {
    if (this.#prepared) {
      await this.#writeNext(payload);
      await this.#repeat(payload);
      return;
    }
    const slot = encodeSlot(this.#layout, this.#sequence + 1, payload, this.#blockSizeBytes);
    const atBytes = this.#slotAtBytes(this.#target);
    // A first write that failed may have left its header.
    await this.#durably(atBytes, new Uint8Array(this.#blockSizeBytes));
    const rest = slot.subarray(this.#blockSizeBytes);
    if (rest.byteLength > 0) await this.#durably(atBytes + this.#blockSizeBytes, rest);
    await this.#durably(atBytes, slot.subarray(0, this.#blockSizeBytes));
    this.#advance(payload, this.#sequence + 1);
    await this.#repeat(payload);
  }

  async #writeNext(payload: Uint8Array): Promise<void> {
    const sequence = this.#sequence + 1;
    await this.#durably(this.#slotAtBytes(this.#target), encodeSlot(this.#layout, sequence, payload, this.#blockSizeBytes));
    this.#advance(payload, sequence);
  }

  /** Writes the other copy with the sequence number of the first, so equal numbers mean equal payloads. */
  async #repeat(payload: Uint8Array): Promise<void> {
    await this.#durably(this.#slotAtBytes(this.#target), encodeSlot(this.#layout, this.#sequence, payload, this.#blockSizeBytes));
    this.#advance(payload, this.#sequence);
  }

  /** Writes the newest copy over itself: cut short, it leaves there what is there, or the older copy beside it, on which nobody has acted since. */
  async #secure(): Promise<void> {
    if (this.#payload === null) return;
    const layout = { ...this.#layout, version: this.#payloadVersion ?? this.#layout.version };
    await this.#durably(this.#slotAtBytes(other(this.#target)), encodeSlot(layout, this.#sequence, this.#payload, this.#blockSizeBytes));
  }

  #advance(payload: Uint8Array, sequence: number): void {
    this.#payload = payload;
    this.#sequence = sequence;
    this.#payloadVersion = this.#layout.version;
    this.#target = other(this.#target);
  }

  async #durably(atBytes: number, bytes: Uint8Array): Promise<void> {
    await this.#io.write(atBytes, bytes);
    await this.#io.flush();
  }

  #slotAtBytes(index: SlotIndex): number {
    return slotAtBytes(this.#layout, index);
  }
}

function other(index: SlotIndex): SlotIndex {
  return index === 0 ? 1 : 0;
}

function slotAtBytes(layout: RecordLayout, index: SlotIndex): number {
  return layout.offsetBytes + index * layout.slotBytes;
}

/** The copy that holds, and the place that the next write takes: an unusable copy, else the older one. */
function choose(slots: readonly [SlotState, SlotState]): { current: (SlotState & { state: 'valid' }) | null; target: SlotIndex } {
  const [first, second] = slots;
  if (first.state !== 'valid') return { current: second.state === 'valid' ? second : null, target: 0 };
  if (second.state !== 'valid') return { current: first, target: 1 };
  return second.sequence > first.sequence ? { current: second, target: 0 } : { current: first, target: 1 };
}

/** Both copies were written with the same payload: the first is durable since before the second was begun. */
function alike([first, second]: readonly [SlotState, SlotState]): boolean {
  return first.state === 'valid' && second.state === 'valid' && first.sequence === second.sequence;
}

/** Whether a device can read a range. */
export type Readable = (offsetBytes: number, lengthBytes: number) => boolean;

/** It can read all. */
const everywhere: Readable = () => true;

/**
 * What {@link DurableRecord.load} would find in a device with these contents: the payload, or null for a record that was never written.
 * Throws `HM_METADATA_CORRUPT` and `HM_METADATA_VERSION` as that rejects. For post-mortems and simulators.
 */
export function readRecordImage(
  image: Uint8Array,
  layout: RecordLayout,
  blockSizeBytes: number,
  readable: Readable = everywhere,
): Uint8Array | null {
  const judge = (index: SlotIndex): SlotState => {
    const atBytes = slotAtBytes(layout, index);
    if (!readable(atBytes, layout.slotBytes)) return { state: 'unreadable', because: 'it cannot be read' };
    return judgeSlot(layout, image.subarray(atBytes, atBytes + layout.slotBytes), blockSizeBytes);
  };
  const slots = [judge(0), judge(1)] as const;
  assertUsable(layout, slots);
  return payloadOf(choose(slots).current);
}

/** The bytes of a record, both its copies, that says that nothing was written yet. */
export function emptyRecord(layout: RecordLayout, blockSizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(2 * layout.slotBytes);
  const slot = encodeSlot(layout, emptySequence, new Uint8Array(0), blockSizeBytes);
  for (const index of [0, 1]) bytes.set(slot, index * layout.slotBytes);
  return bytes;
}

/** Prepares a record for its first write where its device is blank; no effect on any other. Rejects as {@link DurableRecord.load}. */
export async function prepareRecord(device: BlockDevice, layout: RecordLayout): Promise<void> {
  const record = await DurableRecord.load(device, layout);
  if (record.prepared) return;
  const io = devicePromises(device);
  await io.write(layout.offsetBytes, emptyRecord(layout, device.blockSizeBytes));
  await io.flush();
}

function payloadOf(current: (SlotState & { state: 'valid' }) | null): Uint8Array | null {
  return current && current.sequence > emptySequence ? current.payload : null;
}

function assertUsable(layout: RecordLayout, slots: readonly [SlotState, SlotState]): void {
  for (const slot of slots) {
    if (slot.state === 'valid' && slot.version > layout.version) {
      const versions = `version ${String(slot.version)}, this build knows ${String(layout.version)}`;
      throw new HotMirrorError('HM_METADATA_VERSION', `the record ${layout.magic} was written by ${versions}`, {
        details: { found: slot.version, known: layout.version },
      });
    }
  }
  if (!slots.some((slot) => slot.state === 'valid') && !neverWritten(slots)) throw corrupt(layout, slots);
}

function neverWritten([first, second]: readonly [SlotState, SlotState]): boolean {
  return (first.state === 'blank' || first.state === 'headless') && second.state === 'blank';
}

/** The crash came between the two copies of the first write: nothing is damaged. */
function firstWriteCutShort([first, second]: readonly [SlotState, SlotState]): boolean {
  return first.state === 'valid' && first.sequence === 1 && second.state === 'blank';
}

async function readSlot(device: BlockDevice, layout: RecordLayout, index: SlotIndex): Promise<SlotState> {
  try {
    const bytes = await devicePromises(device).read(slotAtBytes(layout, index), layout.slotBytes);
    return judgeSlot(layout, bytes, device.blockSizeBytes);
  } catch (error) {
    // An unreadable copy is a lost copy; the other may be good.
    if (error instanceof HotMirrorError && error.code === 'HM_IO_READ') return { state: 'unreadable', because: error.message };
    throw error;
  }
}

function corrupt(layout: RecordLayout, slots: readonly [SlotState, SlotState]): HotMirrorError {
  const [first, second] = slots.map((slot) => ('because' in slot ? slot.because : slot.state));
  return new HotMirrorError('HM_METADATA_CORRUPT', `no copy of the record ${layout.magic} is usable: ${String(first)}; ${String(second)}`, {
    details: { first, second },
  });
}

function assertLayout(device: BlockDevice, layout: RecordLayout): void {
  const { offsetBytes, slotBytes, magic, version } = layout;
  const aligned = offsetBytes % device.blockSizeBytes === 0 && slotBytes % device.blockSizeBytes === 0;
  if (!aligned) throw new RangeError(`offsetBytes and slotBytes must be multiples of ${String(device.blockSizeBytes)}`);
  if (!(slotBytes > headerBytes)) throw new RangeError(`slotBytes must be more than ${String(headerBytes)}`);
  if (!(offsetBytes >= 0 && offsetBytes + 2 * slotBytes <= device.sizeBytes)) throw new RangeError('the record reaches beyond the device');
  if (device.blockSizeBytes < headerBytes) throw new RangeError(`a record needs blocks of at least ${String(headerBytes)} bytes`);
  if (!/^[\x21-\x7e]+$/.test(magic) || magic.length !== magicBytes)
    throw new RangeError(`magic must be ${String(magicBytes)} printable ASCII characters`);
  if (!Number.isInteger(version) || version < 1 || version > 0xffffffff) throw new RangeError('version must be a whole number from 1');
}
