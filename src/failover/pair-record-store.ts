import type { BlockDevice } from '../device/block-device.ts';
import { DurableRecord, prepareRecord, readRecordImage } from '../device/durable-record.ts';
import type { Readable, RecordLayout } from '../device/durable-record.ts';
import { HotMirrorError } from '../errors.ts';
import type { PairRecord, PairRecordStore } from './pair-record.ts';
import { decodePairRecord, encodePairRecord } from './pair-record.ts';

const slotBytes = 8192;
const layout: RecordLayout = { offsetBytes: 0, slotBytes, magic: 'HMPAIR01', version: 1 };

/** Size that the device of a {@link DurablePairRecordStore} must have at least. */
export const pairRecordBytes: number = 2 * slotBytes;

/** Keeps the pair record on a small device or file, in two copies of which a crash tears at most one. */
export class DurablePairRecordStore implements PairRecordStore {
  readonly #device: BlockDevice;
  #record: DurableRecord | null = null;

  /** The device stays the caller's; it holds at least {@link pairRecordBytes}. */
  constructor(device: BlockDevice) {
    this.#device = device;
  }

  /** Prepares a blank device for the first pair record, so that a power cut then leaves none or the whole; no effect on any other. */
  static prepare(device: BlockDevice): Promise<void> {
    return prepareRecord(device, layout);
  }

  async load(): Promise<PairRecord | null> {
    this.#record = await DurableRecord.load(this.#device, layout);
    return this.#record.payload === null ? null : decodePairRecord(this.#record.payload);
  }

  async write(record: PairRecord): Promise<void> {
    if (!this.#record) throw new HotMirrorError('HM_INTERNAL', 'the pair record is written before it was loaded');
    // Either copy alone tells of an epoch or a promise: the loss of one must not bring back an earlier owner.
    await this.#record.writeBoth(encodePairRecord(record));
  }
}

/**
 * What {@link DurablePairRecordStore.load} would find in a device with these contents; null where none was written. Throws as that rejects.
 * For post-mortems and simulators.
 */
export function readPairRecordImage(image: Uint8Array, blockSizeBytes: number, readable?: Readable): PairRecord | null {
  const payload = readRecordImage(image, layout, blockSizeBytes, readable);
  return payload && decodePairRecord(payload);
}
