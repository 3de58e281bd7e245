import type { BlockDevice } from '../device/block-device.ts';
import { HotMirrorError } from '../errors.ts';
import { maxImagesAtOnce } from './pre-image-log.ts';
import type { PreImage, PreImageLog } from './pre-image-log.ts';

/** A log, and what becomes of the stream where it fails. */
export interface Keeper {
  readonly log: PreImageLog;
  /** Of no use with an extent that could not be read. */
  readonly whole: boolean;
  /** Resolves true where the stream goes on without this log, once that is durable; false where it must end. */
  failed(error: HotMirrorError): Promise<boolean>;
}

/** What the pre-images of a target are made of. */
export interface PreImagesOptions {
  readonly device: BlockDevice;
  readonly sizeBytes: number;
  readonly extentBytes: number;
  readonly keepers: readonly Keeper[];
}

/** A range of an element. */
export interface ByteRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

interface Waiting {
  readonly first: number;
  readonly last: number;
  readonly go: (lost: HotMirrorError | null) => void;
}

/**
 * Lets no write reach an extent of a target before what it held is durable in every log (rules resync.undo, lineage.resolve). Writes keep their order: one that
 * waits holds back all after it.
 */
export class PreImages {
  readonly #options: PreImagesOptions;
  #keepers: readonly Keeper[];
  #waiting: Waiting[] = [];
  #saving = false;
  #saved = Promise.resolve();
  #ended = false;
  #lost: HotMirrorError | null = null;

  constructor(options: PreImagesOptions) {
    this.#options = options;
    this.#keepers = options.keepers;
  }

  /** Calls `go` when the range may be written; with the error of a log where that never comes. */
  before(offsetBytes: number, lengthBytes: number, go: Waiting['go']): void {
    const { extentBytes } = this.#options;
    const first = Math.floor(offsetBytes / extentBytes);
    const last = Math.floor((offsetBytes + lengthBytes - 1) / extentBytes);
    this.#waiting.push({ first, last, go });
    this.#pump();
  }

  /** Calls `go` in its place among the writes, without anything to be kept for it. */
  inOrder(go: () => void): void {
    this.#waiting.push({ first: 0, last: -1, go });
    this.#pump();
  }

  /** Nothing has to be kept any more, not even what is being saved. Resolves when no log is in use. */
  end(): Promise<void> {
    this.#keepers = [];
    this.#ended = true;
    this.#pump();
    return this.#saved;
  }

  #pump(): void {
    if (this.#saving && !this.#ended) return;
    for (let head = this.#waiting[0]; head && (this.#lost || this.#missing(head, 1).length === 0); head = this.#waiting[0]) {
      this.#waiting.shift();
      head.go(this.#lost);
    }
    if (this.#waiting.length === 0) return;
    this.#saving = true;
    this.#saved = this.#save().finally(() => {
      this.#saving = false;
      this.#pump();
    });
  }

  /** Extents of a range that some log lacks, as many as may be saved at once. */
  #missing({ first, last }: Waiting, most: number): readonly number[] {
    const missing: number[] = [];
    for (let extent = first; extent <= last && missing.length < most; extent += 1)
      if (this.#keepers.some(({ log }) => !log.has(extent))) missing.push(extent);
    return missing;
  }

  /** Saves the next extents that writes wait for. */
  async #save(): Promise<void> {
    const extents = new Set<number>();
    for (const waiting of this.#waiting) {
      if (extents.size >= maxImagesAtOnce) break;
      for (const extent of this.#missing(waiting, maxImagesAtOnce)) if (extents.size < maxImagesAtOnce) extents.add(extent);
    }
    const images = await readImages(this.#options, extents);
    for (const keeper of this.#keepers)
      await this.#add(
        keeper,
        images.filter(({ extent }) => !keeper.log.has(extent)),
      );
  }

  async #add(keeper: Keeper, images: readonly PreImage[]): Promise<void> {
    try {
      if (keeper.whole && images.some(({ bytes }) => bytes.byteLength === 0))
        throw new HotMirrorError('HM_IO_READ', 'what the element holds cannot be read');
      // A disk that has grown since had less of its last extent.
      await keeper.log.add(images.map(({ extent, bytes }) => ({ extent, bytes: bytes.subarray(0, keeper.log.extentLength(extent)) })));
    } catch (cause) {
      if (this.#ended) return;
      const error = HotMirrorError.from(cause, 'HM_IO_WRITE', 'a pre-image could not be saved');
      const goesOn = await keeper.failed(error).catch(() => false);
      this.#keepers = this.#keepers.filter((one) => one !== keeper);
      if (!goesOn) this.#lost ??= notKept(error);
    }
  }
}

/** What cannot be kept ends the stream. It says nothing of the element, whose own errors the peer takes for its failure. */
export function notKept(error: HotMirrorError): HotMirrorError {
  return new HotMirrorError('HM_REFUSED', `what would be overwritten cannot be kept: ${error.message}`, {
    rule: 'resync.undo',
    cause: error,
  });
}

/** What extents of a device hold now; empty where they cannot be read. */
export async function readImages(
  { device, sizeBytes, extentBytes }: Pick<PreImagesOptions, 'device' | 'sizeBytes' | 'extentBytes'>,
  extents: Iterable<number>,
): Promise<readonly PreImage[]> {
  const read = (extent: number): Promise<PreImage> => {
    const bytes = new Uint8Array(Math.min(extentBytes, sizeBytes - extent * extentBytes));
    return new Promise((resolve) =>
      device.read(extent * extentBytes, bytes, (error) => resolve({ extent, bytes: error ? new Uint8Array(0) : bytes })),
    );
  };
  return Promise.all([...extents].map(read));
}
