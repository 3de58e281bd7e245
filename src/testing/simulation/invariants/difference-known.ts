import { HotMirrorError } from '../../../errors.ts';
import { regionBytes } from '../../../mirror/activity-log.ts';
import { readElementImage } from '../../../mirror/element-store.ts';
import type { ElementMetadata } from '../../../mirror/metadata.ts';
import type { NodeName } from '../steps.ts';
import type { DiskChange, DiskView, PairView, Watcher, WatcherFactory } from '../watcher.ts';
import { DifferingSectors } from './differing-sectors.ts';
import { sectorBytes } from './sectors.ts';

/** Block size that the record of an element's metadata is read with. */
const metadataBlockBytes = 512;

/** What an element's metadata durably says of differences. */
type Known = NonNullable<ReturnType<typeof readElementImage>>;

/** The durable metadata of one element, read again only when its disk changed. */
class DurableMetadata {
  #version = -1;
  #known: Known | null = null;

  /** Null where there is none that a node could open. */
  read(disk: DiskView): Known | null {
    if (disk.version === this.#version) return this.#known;
    this.#version = disk.version;
    try {
      this.#known = readElementImage(disk.durableImage(), metadataBlockBytes);
    } catch (error) {
      if (!(error instanceof HotMirrorError)) throw error;
      // A node refuses to open such an element, so nothing is copied by what it says.
      this.#known = null;
    }
    return this.#known;
  }
}

interface WatchedMirror {
  readonly differing: DifferingSectors;
  readonly metadata: Readonly<Record<NodeName, DurableMetadata>>;
  /** Versions of both metadata disks at the last judgement. */
  judged: readonly [number, number];
}

class DifferenceKnown implements Watcher {
  readonly invariant = 'difference-known';
  readonly #mirrors: ReadonlyMap<string, WatchedMirror>;

  constructor({ mirrors }: Parameters<WatcherFactory>[0]) {
    this.#mirrors = new Map(
      mirrors.map((mirror) => {
        const metadata = { alpha: new DurableMetadata(), beta: new DurableMetadata() };
        return [mirror, { differing: new DifferingSectors(), metadata, judged: [-1, -1] }];
      }),
    );
  }

  changed(change: DiskChange): void {
    if (change.disk === 'element' && change.mirror !== null) this.#mirrors.get(change.mirror)?.differing.changed(change);
  }

  died(_node: NodeName, how: 'process' | 'power'): void {
    if (how === 'power') for (const { differing } of this.#mirrors.values()) differing.doubt();
  }

  check(view: PairView): string | null {
    for (const [name, mirror] of this.#mirrors) {
      if (!mirror.differing.possible) continue;
      const alpha = view.nodes.alpha.mirrors.get(name);
      const beta = view.nodes.beta.mirrors.get(name);
      if (!alpha || !beta) continue;
      const changed = mirror.differing.update(alpha.element.contents, beta.element.contents);
      if (mirror.differing.sectors.size === 0) continue;
      const versions = [alpha.metadata.version, beta.metadata.version] as const;
      if (!changed && versions[0] === mirror.judged[0] && versions[1] === mirror.judged[1]) continue;
      mirror.judged = versions;
      const known = [mirror.metadata.alpha.read(alpha.metadata), mirror.metadata.beta.read(beta.metadata)] as const;
      const unknown = unknownDifference(mirror.differing.sectors, known);
      if (unknown !== null)
        return `the elements of ${name} differ at byte ${String(unknown * sectorBytes)}, and no dirty bit or activity log says so durably`;
    }
    return null;
  }
}

/** The first sector in which the elements differ while neither knows it, although a copy would be decided by what they know. */
function unknownDifference(sectors: ReadonlySet<number>, [a, b]: readonly [Known | null, Known | null]): number | null {
  if (!a || !b || !copiesByMap(a.metadata, b.metadata)) return null;
  const said = ({ dirty, metadata }: Known, atBytes: number): boolean =>
    dirty.has(Math.floor(atBytes / metadata.extentBytes)) || metadata.activeRegions.includes(Math.floor(atBytes / regionBytes));
  // What lies beyond the mirror may differ (rule lineage.size).
  const sizeBytes = Math.max(a.metadata.sizeBytes, b.metadata.sizeBytes);
  for (const sector of sectors) {
    const atBytes = sector * sectorBytes;
    if (atBytes < sizeBytes && !said(a, atBytes) && !said(b, atBytes)) return sector;
  }
  return null;
}

/** Whether rule lineage.decide would copy by the maps, as far as durable metadata tells: anything else is copied as a whole or not at all. */
function copiesByMap(a: ElementMetadata, b: ElementMetadata): boolean {
  if ([a, b].some(({ state }) => state === 'failed' || state === 'off')) return false;
  // The source's map holds all that is left of an unfinished full copy.
  if (a.resyncId !== null || b.resyncId !== null) return a.resyncId === b.resyncId;
  if (a.current === null || b.current === null) return false;
  return a.current === b.current || a.base === b.current || b.base === a.current;
}

/** Wherever the elements differ, a durable dirty bit or activity log entry of one of them says so (rule write.intent). */
export const differenceKnown: WatcherFactory = (context) => new DifferenceKnown(context);
