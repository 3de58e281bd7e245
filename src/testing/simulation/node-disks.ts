import { noEpoch } from '../../epoch.ts';
import type { Epoch } from '../../epoch.ts';
import { MemoryDevice } from '../../device/memory.ts';
import { DurablePairRecordStore, pairRecordBytes } from '../../failover/pair-record-store.ts';
import { elementMetadataBytes } from '../../mirror/create-element.ts';
import { defaultExtentBytes } from '../../mirror/metadata.ts';
import { MirrorLink } from '../../mirror/mirror-link.ts';
import { preImageLogBytes } from '../../mirror/pre-image-log.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { DiskName } from './disk-faults.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import type { SimulatedLatencies } from './options.ts';
import { streamOf } from './streams.ts';
import type { NodeName } from './steps.ts';
import type { DiskChange } from './watcher.ts';

/** Block size of every simulated disk. */
export const sectorBytes = 512;
/** Metadata and records carry checksums, so their sectors may tear anywhere. */
const tornAnywhereBytes = 1;

/** A mirror of the pair, with its size. */
export interface MirrorSize {
  readonly name: string;
  /** As `init` makes it. */
  readonly sizeBytes: number;
  /** By how much its devices are larger. */
  readonly roomBytes: number;
}

/** The two disks of one mirror on one node. */
export interface MirrorDisks {
  readonly element: SimulatedDisk;
  readonly metadata: SimulatedDisk;
  readonly undoJournal?: SimulatedDisk;
}

/** What `init` writes for an element that holds the data, or is blank. */
export async function initialMetadata(kind: 'data' | 'blank', size: MirrorSize, random: SeededRandom, epoch: Epoch): Promise<Uint8Array> {
  const { sizeBytes } = size;
  const metadata = new MemoryDevice({ sizeBytes: metadataBytesOf(size) });
  await MirrorLink.create({ kind, sizeBytes, metadata, random, epoch });
  return metadata.contents;
}

/** What `init` writes for the pair record: that there is none yet. */
export async function initialRecord(): Promise<Uint8Array> {
  const record = new MemoryDevice({ sizeBytes: pairRecordBytes });
  await DurablePairRecordStore.prepare(record);
  return record.contents;
}

function metadataBytesOf({ sizeBytes, roomBytes }: MirrorSize): number {
  return elementMetadataBytes(sizeBytes + roomBytes);
}

interface NodeDisksOptions {
  readonly node: NodeName;
  readonly seed: number;
  readonly mirrors: readonly MirrorSize[];
  readonly latencies: Required<SimulatedLatencies>;
  readonly synchronousElements: boolean;
  readonly punchHole: boolean;
  readonly undoJournalExtents: number;
  readonly changed: (change: DiskChange) => void;
}

/** All disks of one node. They outlive its processes. */
export class NodeDisks {
  readonly record: SimulatedDisk;
  readonly mirrors: ReadonlyMap<string, MirrorDisks>;
  readonly #options: NodeDisksOptions;

  constructor(options: NodeDisksOptions) {
    const { elementMs, metadataMs } = options.latencies;
    this.#options = options;
    this.record = this.#disk('record', null, pairRecordBytes, metadataMs);
    this.mirrors = new Map(
      options.mirrors.map((size) => {
        const { name, sizeBytes, roomBytes } = size;
        return [
          name,
          {
            element: this.#disk('element', name, sizeBytes + roomBytes, elementMs),
            metadata: this.#disk('metadata', name, metadataBytesOf(size), metadataMs),
            ...this.#undoJournal(name, sizeBytes),
          },
        ];
      }),
    );
  }

  /** Every disk. */
  get all(): readonly SimulatedDisk[] {
    return [
      this.record,
      ...[...this.mirrors.values()].flatMap(({ element, metadata, undoJournal }) => [
        element,
        metadata,
        ...(undoJournal ? [undoJournal] : []),
      ]),
    ];
  }

  /** The disks that a step means: of that mirror, or of the first. */
  named(disk: DiskName, mirror?: string): SimulatedDisk {
    if (disk === 'record') return this.record;
    const name = mirror ?? this.#options.mirrors[0]?.name ?? '';
    const disks = this.mirrors.get(name);
    if (!disks) throw new RangeError(`there is no mirror ${name}`);
    return disk === 'element' ? disks.element : disks.metadata;
  }

  /** New disks for a mirror, as after `init --force --blank`. */
  async replace(mirror: string, stream: string): Promise<void> {
    const { element, metadata } = this.mirrors.get(mirror)!;
    element.replace();
    const random = streamOf(this.#options.seed, stream);
    const size = this.#options.mirrors.find(({ name }) => name === mirror)!;
    metadata.replace(await initialMetadata('blank', size, random, noEpoch));
  }

  /** Its records carry checksums, as metadata does. */
  #undoJournal(mirror: string, mirrorBytes: number): Pick<MirrorDisks, 'undoJournal'> {
    const { node, seed, undoJournalExtents, latencies } = this.#options;
    if (undoJournalExtents === 0) return {};
    const undoJournal = new SimulatedDisk({
      // More than all extents need room only where a crash tears records.
      sizeBytes: preImageLogBytes(Math.min(undoJournalExtents, 2 * Math.ceil(mirrorBytes / defaultExtentBytes)), defaultExtentBytes),
      blockSizeBytes: sectorBytes,
      tornUnitBytes: sectorBytes,
      random: streamOf(seed, `disk ${node} undo ${mirror}`),
      latencyMs: latencies.metadataMs,
      changed: () => undefined,
    });
    return { undoJournal };
  }

  #disk(disk: DiskName, mirror: string | null, sizeBytes: number, latencyMs: number): SimulatedDisk {
    const { node, seed, changed, synchronousElements, punchHole } = this.#options;
    const synchronous = disk === 'element' && synchronousElements;
    return new SimulatedDisk({
      sizeBytes,
      blockSizeBytes: sectorBytes,
      tornUnitBytes: disk === 'element' ? sectorBytes : tornAnywhereBytes,
      random: streamOf(seed, `disk ${node} ${disk} ${mirror ?? ''}`),
      latencyMs: synchronous ? 0 : latencyMs,
      synchronous,
      punchHole: disk === 'element' && punchHole,
      changed: (offsetBytes, lengthBytes) => changed({ node, disk, mirror, offsetBytes, lengthBytes }),
    });
  }
}
