import { crc32 } from 'node:zlib';

import { z } from 'zod';

import type { BlockDevice } from '../device/block-device.ts';
import { DurableRecord } from '../device/durable-record.ts';
import type { RecordLayout } from '../device/durable-record.ts';
import { devicePromises } from '../device/promises.ts';
import { HotMirrorError } from '../errors.ts';
import { DirtyMap } from './dirty-map.ts';
import { idSchema } from './metadata.ts';

const headLayout: RecordLayout = { offsetBytes: 0, slotBytes: 4_096, magic: 'HMIMAGES', version: 1 };
const recordsAtBytes = 2 * headLayout.slotBytes;
const headerBytes = 4_096;
const magic = Buffer.from('HMIMAGE1', 'latin1');
/** Records that one call may add: after so many that are not whole there is none any more. */
export const maxImagesAtOnce = 64;

/** Where the fields of a record's header lie; all numbers are little-endian, 32 bits. */
const field = { magic: 0, id: 8, index: 16, extent: 20, lengthBytes: 24, durableBefore: 28, dataSum: 32, headerSum: 36, end: 40 } as const;

const count = z.number().int().nonnegative();

const headerSchema = z.strictObject({
  kind: z.enum(['undo', 'salvage']),
  id: idSchema,
  mirror: z.string(),
  node: z.string(),
  mirrorId: idSchema,
  generation: idSchema,
  sizeBytes: count,
  extentBytes: count.positive(),
  time: z.string(),
  finished: z.boolean(),
});

/** What a log of pre-images says of itself. */
export interface PreImageHeader {
  readonly kind: 'undo' | 'salvage';
  /** Of this log: records of an earlier one in the same place carry another. */
  readonly id: string;
  readonly mirror: string;
  /** Whose element it is. */
  readonly node: string;
  readonly mirrorId: string;
  /** The generation that the element held when the log began. */
  readonly generation: string;
  readonly sizeBytes: number;
  readonly extentBytes: number;
  /** When it began, ISO 8601. */
  readonly time: string;
  /** The element was overwritten to the end; nothing is added any more. */
  readonly finished: boolean;
}

/** What an extent held. */
export interface PreImage {
  readonly extent: number;
  /** Empty: it could not be read. */
  readonly bytes: Uint8Array;
}

interface RecordHeader {
  readonly extent: number;
  readonly lengthBytes: number;
  readonly durableBefore: number;
  readonly dataSum: number;
}

/** How many bytes a log of this many extents takes. */
export function preImageLogBytes(extents: number, extentBytes: number): number {
  return recordsAtBytes + extents * (headerBytes + extentBytes);
}

/**
 * What extents of an element held before they were overwritten: a header in two copies, then records, each with checksums, in the order in which they were added.
 * `docs/salvage.md` describes the format. A record that a crash tore is skipped; one that had been durable before another was added and is damaged is told of.
 */
export class PreImageLog {
  readonly capacity: number;
  readonly #device: BlockDevice;
  readonly #head: DurableRecord;
  readonly #saved: DirtyMap;
  /** The record of each extent that is saved. */
  readonly #places = new Map<number, number>();
  #header: PreImageHeader;
  /** Where the next record goes. */
  #next = 0;
  /** Records up to this are durable. */
  #durable = 0;
  #damaged: readonly number[] = [];
  /** Places below the next one whose records a crash tore, in order. */
  #torn: readonly number[] = [];

  private constructor(device: BlockDevice, head: DurableRecord, header: PreImageHeader) {
    this.#device = device;
    this.#head = head;
    this.#header = header;
    this.#saved = new DirtyMap(header.sizeBytes, header.extentBytes);
    this.capacity = Math.max(0, Math.floor((device.sizeBytes - recordsAtBytes) / (headerBytes + header.extentBytes)));
  }

  /** Begins a new log, durably. Rejects with the device's errors, and `HM_NO_SPACE` where not even the header has room. */
  static async create(device: BlockDevice, header: PreImageHeader): Promise<PreImageLog> {
    if (device.sizeBytes < recordsAtBytes)
      throw new HotMirrorError('HM_NO_SPACE', 'there is no room for the header of a log of pre-images');
    const head = await loadHead(device);
    await head.writeBoth(encodeHeader(header));
    return new PreImageLog(device, head, header);
  }

  /** Reads a log; null where there is none. Rejects with `HM_METADATA_CORRUPT` or `HM_METADATA_VERSION` as a record does. */
  static async open(device: BlockDevice): Promise<PreImageLog | null> {
    if (device.sizeBytes < recordsAtBytes) return null;
    const head = await DurableRecord.load(device, headLayout);
    if (!head.payload) return null;
    const log = new PreImageLog(device, head, decodeHeader(head.payload));
    await log.#scan();
    return log;
  }

  get header(): PreImageHeader {
    return this.#header;
  }

  /** Extents that are saved. */
  get count(): number {
    return this.#saved.count;
  }

  /** Numbers of records that had been durable and are damaged. */
  get damaged(): readonly number[] {
    return this.#damaged;
  }

  /** Whether nothing has to be kept of it: it is saved, or the disk had no such extent when the log began. */
  has(extent: number): boolean {
    return extent >= this.#saved.extents || this.#saved.has(extent);
  }

  /** Runs of the extents that are saved. */
  runs(): ReturnType<DirtyMap['runs']> {
    return this.#saved.runs();
  }

  /** Adds at most {@link maxImagesAtOnce}; resolves when they are durable. Rejects with `HM_NO_SPACE` where they have no room, and the device's errors. */
  async add(images: readonly PreImage[]): Promise<void> {
    if (this.#next + images.length - this.#torn.length > this.capacity)
      throw new HotMirrorError('HM_NO_SPACE', `the log of pre-images holds ${String(this.capacity)} extents`);
    const io = devicePromises(this.#device);
    // What a crash tore is written anew, so that every record below another is whole.
    const indexes = images.map((_, at) => this.#torn[at] ?? this.#next + at - this.#torn.length);
    for (const [at, image] of images.entries()) {
      const index = indexes[at]!;
      await io.write(this.#recordAtBytes(index), this.#encode(image, index));
    }
    await io.flush();
    this.#torn = this.#torn.slice(images.length);
    this.#next = Math.max(this.#next, ...indexes.map((index) => index + 1));
    this.#durable = this.#torn[0] ?? this.#next;
    images.forEach(({ extent }, at) => this.#keep(extent, indexes[at]!));
  }

  /** Nothing is added any more; durable when it resolves. */
  async finish(): Promise<void> {
    const header = { ...this.#header, finished: true };
    await this.#head.writeBoth(encodeHeader(header));
    this.#header = header;
  }

  /** What one extent held; null where it is not saved, or is damaged. */
  async image(extent: number): Promise<PreImage | null> {
    const index = this.#places.get(extent);
    const record = index === undefined ? null : await this.#readHeader(index);
    if (index === undefined || !record) return null;
    const bytes = await this.#readData(index, record);
    return bytes && { extent, bytes };
  }

  /** Every extent that is saved, as it was. Rejects with `HM_METADATA_CORRUPT` at a record whose data is damaged. */
  async *images(): AsyncGenerator<PreImage> {
    for (const [extent, index] of this.#places) {
      const image = await this.image(extent);
      if (!image) throw new HotMirrorError('HM_METADATA_CORRUPT', `record ${String(index)} of the pre-images is damaged`);
      yield image;
    }
  }

  /** Bytes that an extent has: the last one of a disk may be shorter. */
  extentLength(extent: number): number {
    const { sizeBytes, extentBytes } = this.#header;
    return Math.min(extentBytes, sizeBytes - extent * extentBytes);
  }

  async #scan(): Promise<void> {
    const records = new Map<number, RecordHeader>();
    let durable = 0;
    for (let index = 0, missing = 0; index < this.capacity && missing < maxImagesAtOnce; index += 1) {
      const record = await this.#readHeader(index);
      missing = record ? 0 : missing + 1;
      if (!record) continue;
      records.set(index, record);
      durable = Math.max(durable, record.durableBefore);
      this.#next = index + 1;
    }
    const torn: number[] = [];
    for (let index = 0; index < this.#next; index += 1) {
      const record = records.get(index);
      // Of those that were durable before another was added a crash tore none: their data is read when it is needed.
      if (record && (index < durable || (await this.#readData(index, record)))) this.#keep(record.extent, index);
      else if (index >= durable) torn.push(index);
    }
    this.#torn = torn;
    this.#durable = torn[0] ?? this.#next;
    this.#damaged = Array.from({ length: durable }, (_, index) => index).filter((index) => !records.has(index));
  }

  /** Of two records of one extent the first counts: it is of before anything was overwritten. */
  #keep(extent: number, index: number): void {
    if (this.#saved.mark(extent)) this.#places.set(extent, index);
  }

  #encode({ extent, bytes }: PreImage, index: number): Uint8Array {
    const record = Buffer.alloc(headerBytes + this.#header.extentBytes);
    magic.copy(record, field.magic);
    Buffer.from(this.#header.id, 'hex').copy(record, field.id);
    record.writeUInt32LE(index, field.index);
    record.writeUInt32LE(extent, field.extent);
    record.writeUInt32LE(bytes.byteLength, field.lengthBytes);
    record.writeUInt32LE(this.#durable, field.durableBefore);
    record.writeUInt32LE(crc32(bytes), field.dataSum);
    record.writeUInt32LE(crc32(record.subarray(0, field.headerSum)), field.headerSum);
    record.set(bytes, headerBytes);
    return record;
  }

  async #readHeader(index: number): Promise<RecordHeader | null> {
    const bytes = await this.#read(this.#recordAtBytes(index), headerBytes);
    if (!bytes?.subarray(0, magic.length).equals(magic)) return null;
    if (bytes.toString('hex', field.id, field.index) !== this.#header.id || bytes.readUInt32LE(field.index) !== index) return null;
    if (bytes.readUInt32LE(field.headerSum) !== crc32(bytes.subarray(0, field.headerSum))) return null;
    return {
      extent: bytes.readUInt32LE(field.extent),
      lengthBytes: bytes.readUInt32LE(field.lengthBytes),
      durableBefore: bytes.readUInt32LE(field.durableBefore),
      dataSum: bytes.readUInt32LE(field.dataSum),
    };
  }

  async #readData(index: number, { extent, lengthBytes, dataSum }: RecordHeader): Promise<Uint8Array | null> {
    if (lengthBytes !== 0 && lengthBytes !== this.extentLength(extent)) return null;
    const bytes = await this.#read(this.#recordAtBytes(index) + headerBytes, lengthBytes);
    return bytes && crc32(bytes) === dataSum ? bytes : null;
  }

  /** Null: that place cannot be read. */
  async #read(offsetBytes: number, lengthBytes: number): Promise<Buffer | null> {
    const bytes = Buffer.alloc(lengthBytes);
    if (lengthBytes === 0) return bytes;
    return new Promise((resolve) => this.#device.read(offsetBytes, bytes, (error) => resolve(error ? null : bytes)));
  }

  #recordAtBytes(index: number): number {
    return recordsAtBytes + index * (headerBytes + this.#header.extentBytes);
  }
}

/** An older log that is damaged makes room for a new one; what keeps one says by its id which it was. */
async function loadHead(device: BlockDevice): Promise<DurableRecord> {
  try {
    return await DurableRecord.load(device, headLayout);
  } catch (error) {
    if (!(error instanceof HotMirrorError && error.code === 'HM_METADATA_CORRUPT')) throw error;
    const io = devicePromises(device);
    await io.write(0, new Uint8Array(recordsAtBytes));
    await io.flush();
    return DurableRecord.load(device, headLayout);
  }
}

function encodeHeader(header: PreImageHeader): Uint8Array {
  return Buffer.from(JSON.stringify(header), 'utf8');
}

function decodeHeader(payload: Uint8Array): PreImageHeader {
  try {
    return headerSchema.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
  } catch (cause) {
    throw new HotMirrorError('HM_METADATA_CORRUPT', 'the header of the pre-images makes no sense', { cause });
  }
}
