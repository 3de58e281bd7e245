import { compareEpochs, noEpoch } from '../../epoch.ts';
import type { Epoch } from '../../epoch.ts';
import type { PairRecord } from '../../failover/pair-record.ts';
import { readPairRecordImage } from '../../failover/pair-record-store.ts';
import { readElementImage } from '../../mirror/element-store.ts';
import type { ElementMetadata } from '../../mirror/metadata.ts';
import { sectorBytes } from './node-disks.ts';
import type { MirrorDisks, NodeDisks } from './node-disks.ts';
import type { SimulatedProcess } from './simulated-process.ts';

/** What there is of one node to judge by. */
export interface HoldingNode {
  readonly disks: NodeDisks;
  /** The process that runs; absent while the node is down. */
  readonly process: SimulatedProcess | undefined;
  /** It lost power and was not made whole since: what no flush covered may be missing. */
  readonly lostCache: boolean;
}

/**
 * Whether a node holds the only good copy of anything: of what a mirror acknowledged, or of an epoch that was taken. Where the other node holds all of that too,
 * be it down or not yet sure of it, this node may lose its disks.
 */
export function holdsLastCopy(node: HoldingNode, other: HoldingNode): boolean {
  if (recordIsNewer(node.disks, other.disks)) return true;
  return [...node.disks.mirrors.keys()].some((mirror) => !holdsAll(other, node, mirror));
}

/** The pair record of a node; null where there is none that makes sense. */
export function pairRecordOf({ record }: NodeDisks): PairRecord | null {
  return readOr(() => readPairRecordImage(record.contents, sectorBytes));
}

/** Whether what can no longer be read of metadata and pair record leaves each of them a copy that can. */
export function secondCopiesSave({ record, mirrors }: NodeDisks): boolean {
  const saved = [
    [record, readPairRecordImage] as const,
    ...[...mirrors.values()].map(({ metadata }) => [metadata, readElementImage] as const),
  ];
  return saved.every(([disk, read]) => {
    try {
      read(disk.contents, sectorBytes, (offsetBytes, lengthBytes) => disk.readable(offsetBytes, lengthBytes));
      return true;
    } catch {
      return false;
    }
  });
}

/** Whether a node holds all that this mirror acknowledged, whoever has written it. */
function holdsAll(holder: HoldingNode, writer: HoldingNode, mirror: string): boolean {
  const written = metadataOf(writer, mirror);
  const held = metadataOf(holder, mirror);
  if (writer.process?.opened && writer.process.mirrors.get(mirror)!.state().serving === 'alone') return false;
  if (written?.current === null) return true;
  if (!written || !held || holder.lostCache || !isUsable(holder, mirror, held)) return false;
  return held.current === written.current || held.base === written.current || held.history.includes(written.current);
}

/**
 * Whether a node may become the target of the other one in a moment, by what is on its way already: it crashed, does not serve again, and has heard of an element
 * that can be a source.
 */
export function mayGiveWay(node: HoldingNode, other: HoldingNode): boolean {
  return [...node.disks.mirrors.keys()].some((mirror) => {
    const written = metadataOf(other, mirror);
    const mine = node.process?.openMirror(mirror);
    return (
      mine?.snapshot().metadata.crashed === true && mine.state().serving === 'no' && written !== null && isUsable(other, mirror, written)
    );
  });
}

function isUsable({ process }: HoldingNode, mirror: string, held: ElementMetadata): boolean {
  const state = process?.opened ? process.mirrors.get(mirror)!.state().element : held.state;
  return state === 'uptodate' || state === 'consistent';
}

/** What a node durably knows of its element; null where that makes no sense any more. */
function metadataOf({ process, disks }: HoldingNode, mirror: string): ElementMetadata | null {
  if (process?.opened) return process.mirrors.get(mirror)!.snapshot().metadata;
  const { metadata } = disks.mirrors.get(mirror) as MirrorDisks;
  return readOr(() => readElementImage(metadata.contents, sectorBytes)?.metadata);
}

/** An epoch that this node took, or is about to take, and that the other one does not know. */
function recordIsNewer(own: NodeDisks, other: NodeDisks): boolean {
  const mine = epochsOf(own);
  const theirs = epochsOf(other)[0] ?? noEpoch;
  return mine.some((epoch) => compareEpochs(epoch, theirs) !== 'equal' && epoch.number >= theirs.number);
}

function epochsOf(disks: NodeDisks): readonly Epoch[] {
  const found = pairRecordOf(disks);
  if (!found) return [];
  return found.intent ? [found.epoch, found.intent] : [found.epoch];
}

function readOr<Found>(read: () => Found | undefined | null): Found | null {
  try {
    return read() ?? null;
  } catch {
    return null;
  }
}
