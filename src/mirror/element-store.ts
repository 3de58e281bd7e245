import type { BlockDevice } from '../device/block-device.ts';
import { DurableRecord, emptyRecord, readRecordImage } from '../device/durable-record.ts';
import type { Readable, RecordLayout } from '../device/durable-record.ts';
import { HotMirrorError } from '../errors.ts';
import { DirtyMap } from './dirty-map.ts';
import { decodeMetadata, encodeMetadata } from './metadata.ts';
import type { ElementMetadata } from './metadata.ts';

const metadataVersion = 1;
const headSlotBytes = 16_384;
const pageSlotBytes = 4_096;
/** Bytes of the dirty map in one page: with default extents, one page covers 1.9 GiB. */
const pageMapBytes = 3_840;
const bitsPerByte = 8;
const copies = 2;
const pagesAtBytes = copies * headSlotBytes;

const headLayout: RecordLayout = { offsetBytes: 0, slotBytes: headSlotBytes, magic: 'HMMIRROR', version: metadataVersion };

const pageLayout = (page: number): RecordLayout => ({
  offsetBytes: pagesAtBytes + page * copies * pageSlotBytes,
  slotBytes: pageSlotBytes,
  magic: 'HMDIRTY0',
  version: metadataVersion,
});

/** How many bytes of metadata a mirror of this size needs. */
export function metadataBytes(sizeBytes: number, extentBytes: number): number {
  return pagesAtBytes + pageCount(sizeBytes, extentBytes) * copies * pageSlotBytes;
}

/** A change of the metadata, as a function of what it is then. */
export type MetadataChange = (metadata: ElementMetadata) => Partial<ElementMetadata>;

/** That an element failed, and why. */
type Failure = Pick<ElementMetadata, 'state' | 'note'>;

function failureOf({ state, note }: ElementMetadata): Failure | null {
  return state === 'failed' ? { state, note } : null;
}

interface PendingChange {
  readonly change: MetadataChange;
  readonly both: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The durable state of one element: its metadata and its dirty map, in a small device of their own (rule write.intent, semantics 3).
 * What is readable here of the metadata is durable; changes are made by {@link ElementStore.update} and seen when they are.
 */
export class ElementStore {
  /** The dirty map in memory: never less than the stored one says. */
  dirty: DirtyMap;
  /** Copies found damaged when it was loaded. */
  readonly damagedCopies: number;
  /** A copy could not be read: what is known of activity log and dirty map may be older than what was durable. */
  readonly mayBeOlder: boolean;
  readonly #device: BlockDevice;
  readonly #head: DurableRecord;
  readonly #pages = new Map<number, DurableRecord>();
  /** Pages to be written whatever they seem to hold: a copy that could not be read may be read again one day, and what a failed write left may never be durable. */
  readonly #distrusted = new Set<number>();
  #metadata: ElementMetadata;
  #stored: Uint8Array;
  #pending: PendingChange[] = [];
  #writing: Promise<void> | null = null;
  /** A write failed: either copy may hold what it was to change, or what was there before. */
  #doubtful = false;
  /** Once the element has failed, also where that could not be written yet. */
  #failure: Failure | null;
  /** Size and map do not fit each other meanwhile: nobody may be told of either. */
  #growing: Promise<void> | null = null;
  #persisting: Promise<void> = Promise.resolve();

  private constructor(device: BlockDevice, head: DurableRecord, metadata: ElementMetadata, pages: ReadonlyMap<number, DurableRecord>) {
    this.#device = device;
    this.#head = head;
    this.#metadata = metadata;
    this.#failure = failureOf(metadata);
    const records = [head, ...pages.values()];
    this.damagedCopies = records.reduce((count, record) => count + record.damagedCopies, 0);
    this.mayBeOlder = records.some((record) => record.mayBeOlder);
    this.dirty = new DirtyMap(metadata.sizeBytes, metadata.extentBytes);
    this.#stored = new Uint8Array(mapBytes(this.dirty));
  }

  /**
   * Writes the metadata of a new element. Rejects with `HM_METADATA_EXISTS` where there is some, also damaged, unless `replace`.
   */
  static async create(device: BlockDevice, metadata: ElementMetadata, replace: boolean): Promise<void> {
    if (!replace) await assertNone(device);
    await prepare(device);
    const head = await DurableRecord.load(device, headLayout);
    await head.writeBoth(encodeMetadata(metadata));
  }

  /** Rejects with `HM_METADATA_MISSING`, `HM_METADATA_CORRUPT` or `HM_METADATA_VERSION`. */
  static async load(device: BlockDevice): Promise<ElementStore> {
    const head = await DurableRecord.load(device, headLayout);
    if (!head.payload) throw new HotMirrorError('HM_METADATA_MISSING', 'the element has no metadata');
    const metadata = decodeMetadata(head.payload);
    if (device.sizeBytes < metadataBytes(metadata.sizeBytes, metadata.extentBytes)) {
      throw new HotMirrorError('HM_METADATA_CORRUPT', `the metadata was truncated to ${String(device.sizeBytes)} bytes`);
    }
    const pages = new Map<number, DurableRecord>();
    for (let page = 0; page < pageCount(metadata.sizeBytes, metadata.extentBytes); page += 1) {
      pages.set(page, await DurableRecord.load(device, pageLayout(page)));
    }
    const store = new ElementStore(device, head, metadata, pages);
    for (const [page, record] of pages) {
      store.#pages.set(page, record);
      if (record.mayBeOlder) store.#distrusted.add(page);
      if (record.payload) store.#stored.set(pageOf(record.payload, page, store.#stored.length), page * pageMapBytes);
    }
    store.dirty.include(0, store.#stored);
    return store;
  }

  /** The largest mirror whose dirty map has room in the metadata. */
  get roomBytes(): number {
    const pages = Math.floor((this.#device.sizeBytes - pagesAtBytes) / (copies * pageSlotBytes));
    return pages * pageMapBytes * bitsPerByte * this.#metadata.extentBytes;
  }

  /** The metadata that is durable. */
  get metadata(): ElementMetadata {
    return this.#metadata;
  }

  /**
   * Changes the metadata; resolves when that is durable. Changes asked for while a write is under way share the next one.
   * With `both`, either copy alone tells of it: for what must not be forgotten by the loss of one copy (lineage, epoch, state). An element that has failed stays so,
   * whatever a change that was under way makes of its state (rule write.error).
   */
  update(change: MetadataChange, both = true): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ change, both, resolve, reject });
      this.#writing ??= this.#writePending();
    });
  }

  /** Resolves when no change is under way. */
  async settled(): Promise<void> {
    while (this.#writing ?? this.#growing) await (this.#writing ?? this.#growing);
  }

  /** As `settled`, and what a write that failed may have left is no longer what the next start could find. Rejects where that cannot be written either. */
  async certain(): Promise<void> {
    await this.settled();
    if (this.#doubtful) await this.update(() => ({}));
  }

  /** Makes room in the metadata for the map of a mirror of this size, where its device can be enlarged. */
  async makeRoom(sizeBytes: number): Promise<void> {
    // Also where it is that large by what it says: it may still be about it.
    await this.#device.enlarge?.(metadataBytes(sizeBytes, this.#metadata.extentBytes));
  }

  /** The mirror becomes larger, and what is new is dirty (rule lineage.grow). Its bits, which mean nothing before, are durable first, then the size. */
  grow(sizeBytes: number): Promise<void> {
    const growing = this.#grow(sizeBytes).finally(() => {
      this.#growing = null;
    });
    this.#growing = growing.catch(() => undefined);
    return growing;
  }

  /** After a crash: this range may differ, and the next {@link ElementStore.persistDirty} writes so, though it may be stored already as far as can be read. */
  markAfterCrash(offsetBytes: number, lengthBytes: number): void {
    this.dirty.markRange(offsetBytes, lengthBytes);
    const bytesPerPage = this.#metadata.extentBytes * bitsPerByte * pageMapBytes;
    const last = Math.floor((offsetBytes + lengthBytes - 1) / bytesPerPage);
    for (let page = Math.floor(offsetBytes / bytesPerPage); page <= last; page += 1) this.#distrusted.add(page);
  }

  /** Makes the stored dirty map equal to what the map in memory is now; resolves when that is durable. */
  persistDirty(): Promise<void> {
    const persisted = this.#persisting
      .then(() => this.#persistPages())
      .catch((error: unknown) => {
        throw unwritableBy(error);
      });
    this.#persisting = persisted.catch(() => undefined);
    return persisted;
  }

  /** The mirror has another size now: a new, clean map takes the place of the old one. Only for a blank element that is about to be filled. */
  async resize(sizeBytes: number, extentBytes: number): Promise<void> {
    for (let page = 0; page < pageCount(sizeBytes, extentBytes); page += 1) {
      if (this.#pages.has(page)) continue;
      this.#pages.set(page, await DurableRecord.load(this.#device, pageLayout(page)));
      // A larger mirror that once lay here may have left anything.
      this.#distrusted.add(page);
    }
    this.dirty = new DirtyMap(sizeBytes, extentBytes);
    const stored = new Uint8Array(mapBytes(this.dirty));
    stored.set(this.#stored.subarray(0, stored.length));
    this.#stored = stored;
  }

  async #grow(sizeBytes: number): Promise<void> {
    const { sizeBytes: beforeBytes, extentBytes } = this.#metadata;
    for (let page = 0; page < pageCount(sizeBytes, extentBytes); page += 1) {
      if (this.#pages.has(page)) continue;
      this.#pages.set(page, await DurableRecord.load(this.#device, pageLayout(page)));
      // An earlier attempt may have left anything there.
      this.#distrusted.add(page);
    }
    const dirty = new DirtyMap(sizeBytes, extentBytes);
    dirty.include(0, this.dirty.bytes(0, mapBytes(this.dirty)));
    dirty.markRange(beforeBytes, sizeBytes - beforeBytes);
    const stored = new Uint8Array(mapBytes(dirty));
    stored.set(this.#stored);
    this.dirty = dirty;
    this.#stored = stored;
    await this.persistDirty();
    await this.update(() => ({ sizeBytes }));
  }

  async #writePending(): Promise<void> {
    while (this.#pending.length > 0) {
      const changes = this.#pending;
      this.#pending = [];
      let next = this.#metadata;
      for (const { change } of changes) {
        next = { ...next, ...change(next), ...this.#failure };
        this.#failure ??= failureOf(next);
      }
      try {
        const payload = encodeMetadata(next);
        await (changes.some(({ both }) => both) ? this.#head.writeBoth(payload) : this.#head.write(payload));
        this.#metadata = next;
        this.#doubtful = false;
        for (const { resolve } of changes) resolve();
      } catch (error) {
        this.#doubtful = true;
        for (const { reject } of changes) reject(unwritableBy(error));
      }
    }
    this.#writing = null;
  }

  async #persistPages(): Promise<void> {
    for (const [page, record] of this.#pages) {
      const at = page * pageMapBytes;
      const now = this.dirty.bytes(at, pageMapBytes).slice();
      const same = Buffer.compare(now, this.#stored.subarray(at, at + now.length)) === 0;
      if (same && !this.#distrusted.has(page)) continue;
      // A write that fails may have landed all the same.
      this.#distrusted.add(page);
      await record.write(now);
      this.#distrusted.delete(page);
      this.#stored.set(now, at);
    }
  }
}

/**
 * What {@link ElementStore.load} would find in a metadata device with these contents; null where none was written. Throws as that rejects.
 * For post-mortems and simulators.
 */
export function readElementImage(
  image: Uint8Array,
  blockSizeBytes: number,
  readable?: Readable,
): { readonly metadata: ElementMetadata; readonly dirty: DirtyMap } | null {
  const head = readRecordImage(image, headLayout, blockSizeBytes, readable);
  if (!head) return null;
  const metadata = decodeMetadata(head);
  const dirty = new DirtyMap(metadata.sizeBytes, metadata.extentBytes);
  for (let page = 0; page < pageCount(metadata.sizeBytes, metadata.extentBytes); page += 1) {
    const stored = readRecordImage(image, pageLayout(page), blockSizeBytes, readable);
    if (stored) dirty.include(page * pageMapBytes, pageOf(stored, page, mapBytes(dirty)));
  }
  return { metadata, dirty };
}

/** What a stored page says of a map of this length: it may have been written for a longer one. */
function pageOf(payload: Uint8Array, page: number, lengthBytes: number): Uint8Array {
  return payload.subarray(0, Math.min(pageMapBytes, lengthBytes - page * pageMapBytes));
}

/** Whatever ails the metadata device says nothing of the element's. */
function unwritableBy(cause: unknown): HotMirrorError {
  return new HotMirrorError('HM_STATE_UNWRITABLE', `the metadata could not be written: ${(cause as Error).message}`, { cause });
}

function mapBytes(map: DirtyMap): number {
  return Math.ceil(map.extents / bitsPerByte);
}

function pageCount(sizeBytes: number, extentBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / extentBytes / bitsPerByte / pageMapBytes));
}

async function assertNone(device: BlockDevice): Promise<void> {
  const exists = new HotMirrorError('HM_METADATA_EXISTS', 'there is metadata already');
  try {
    if ((await DurableRecord.load(device, headLayout)).payload !== null) throw exists;
  } catch (error) {
    throw error instanceof HotMirrorError && error.code.startsWith('HM_METADATA_') ? exists : error;
  }
}

/** Clears every record, so that nothing of an earlier element can be taken for this one's; all pages that there is room for wait for their first write. */
function prepare(device: BlockDevice): Promise<void> {
  const image = new Uint8Array(device.sizeBytes);
  const pages = Math.floor((device.sizeBytes - pagesAtBytes) / (copies * pageSlotBytes));
  for (let page = 0; page < pages; page += 1) {
    const layout = pageLayout(page);
    image.set(emptyRecord(layout, device.blockSizeBytes), layout.offsetBytes);
  }
  return new Promise((resolve, reject) => {
    const done = (error: HotMirrorError | null): void => (error ? reject(error) : resolve());
    device.write(0, image, {}, (error) => (error ? reject(error) : device.flush(done)));
  });
}
