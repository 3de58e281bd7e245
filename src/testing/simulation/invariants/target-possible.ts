import type { MirrorState } from '../../../mirror/state.ts';
import { nodeNames, otherNode } from '../steps.ts';
import type { NodeName } from '../steps.ts';
import type { ApplicationRequest, DiskChange, PairView, Watcher, WatcherFactory } from '../watcher.ts';
import { PermittedLoss } from './permitted-loss.ts';
import { digestSector, sectorBytes, sectorsOf } from './sectors.ts';
import type { SectorWrite } from './write-history.ts';
import { WriteHistory } from './write-history.ts';

/** A write that was acknowledged, as its sectors saw it. */
interface Acknowledged {
  readonly endedAt: number;
  readonly first: number;
  readonly writes: readonly SectorWrite[];
}

/** Acknowledged writes that are kept one by one, so that a long run does not grow for ever. */
const keptAcknowledged = 2_048;

/** The acknowledged writes of one mirror, in the order of their acknowledgement. */
class Acknowledgements {
  #kept: Acknowledged[] = [];
  /** Counts those that are kept no more; where an element has to hold any later one, it has to hold these too. */
  #forgotten = 0;
  readonly #before = new Map<number, number>();

  add(acknowledged: Acknowledged): void {
    this.#kept.push(acknowledged);
    if (this.#kept.length <= 2 * keptAcknowledged) return;
    for (const each of this.#kept.splice(0, keptAcknowledged)) {
      owe(this.#before, each);
      this.#forgotten += 1;
    }
  }

  clear(): void {
    this.#kept = [];
    this.#forgotten = 0;
    this.#before.clear();
  }

  /** Adds to `owed` what was acknowledged before `horizon`, from the place `from` on; gives the place to go on from, and tells each sector. */
  collect(owed: Map<number, number>, from: number, horizon: number, tell: (sector: number) => void): number {
    const [oldest] = this.#kept;
    if (from < this.#forgotten) {
      if (!oldest || oldest.endedAt >= horizon) return from;
      for (const [sector, number] of this.#before) {
        owed.set(sector, Math.max(owed.get(sector) ?? 0, number));
        tell(sector);
      }
    }
    let place = Math.max(0, from - this.#forgotten);
    for (let each = this.#kept[place]; each && each.endedAt < horizon; each = this.#kept[place]) {
      owe(owed, each);
      for (let at = 0; at < each.writes.length; at += 1) tell(each.first + at);
      place += 1;
    }
    return this.#forgotten + place;
  }
}

function owe(owed: Map<number, number>, { first, writes }: Acknowledged): void {
  writes.forEach(({ number }, at) => owed.set(first + at, Math.max(owed.get(first + at) ?? 0, number)));
}

/** What one node's element holds of one mirror, while it counts as an image of some instant. */
class Image {
  readonly #history: WriteHistory;
  readonly #acknowledgements: Acknowledgements;
  readonly #source: NodeName;
  #changes: DiskChange[] = [];
  /** By sector: the newest write that its content can be. */
  readonly #held = new Map<number, number>();
  /** By sector: the write that must be there, or a newer one. */
  readonly #owed = new Map<number, number>();
  /** The latest issue of a write that came from the source. */
  #horizon = -1;
  #collected = 0;
  #followed = false;
  /** It lost its cache and was not regenerated since. */
  doubtful = false;

  constructor(node: NodeName, history: WriteHistory, acknowledgements: Acknowledgements) {
    this.#source = otherNode(node);
    this.#history = history;
    this.#acknowledgements = acknowledgements;
  }

  get hasChanged(): boolean {
    return this.#changes.length > 0;
  }

  changed(change: DiskChange): void {
    this.#changes.push(change);
  }

  /** What it holds is not to be judged now. */
  skip(): void {
    this.#changes = [];
    this.#followed = false;
  }

  /** What is wrong with what it holds now, or null. */
  judge(contents: Uint8Array): string | null {
    const touched = this.#followed ? this.#changedSectors() : [...this.#history.sectors.keys()];
    if (!this.#followed) {
      this.#held.clear();
      this.#owed.clear();
      this.#horizon = -1;
      this.#collected = 0;
    }
    this.#followed = true;
    this.#changes = [];
    for (const sector of touched) this.#look(sector, contents);
    const suspects = new Set(touched);
    this.#collected = this.#acknowledgements.collect(this.#owed, this.#collected, this.#horizon, (sector) => suspects.add(sector));
    for (const sector of suspects) {
      const owed = this.#owed.get(sector) ?? 0;
      if (!this.#held.has(sector)) this.#look(sector, contents);
      if ((this.#held.get(sector) ?? 0) >= owed) continue;
      const history = this.#history.at(sector);
      return (
        `byte ${String(sector * sectorBytes)} lacks write ${String(history.idOf(owed))}, ` +
        'which was acknowledged before another that is there was issued'
      );
    }
    return null;
  }

  #look(sector: number, contents: Uint8Array): void {
    const history = this.#history.sectors.get(sector);
    if (!history) return;
    const candidates = history.candidates(digestSector(contents, sector * sectorBytes));
    this.#held.set(sector, candidates.at(-1)?.number ?? Infinity);
    const [only] = candidates;
    // What this node wrote itself, as a source that was no longer one, tells nothing of what it took from the other.
    if (only && candidates.length === 1 && only.node === this.#source) this.#horizon = Math.max(this.#horizon, only.issuedAt);
  }

  #changedSectors(): number[] {
    const sectors = new Set<number>();
    for (const change of this.#changes) {
      const { first, count } = sectorsOf(change);
      for (let sector = first; sector < first + count; sector += 1) if (this.#history.sectors.has(sector)) sectors.add(sector);
    }
    return [...sectors];
  }
}

/** One mirror with its two images. */
class WatchedMirror {
  readonly history = new WriteHistory();
  readonly acknowledgements = new Acknowledgements();
  readonly images: Readonly<Record<NodeName, Image>>;

  constructor() {
    const image = (node: NodeName): Image => new Image(node, this.history, this.acknowledgements);
    this.images = { alpha: image('alpha'), beta: image('beta') };
  }

  forgive(): void {
    this.acknowledgements.clear();
    for (const node of nodeNames) this.images[node].skip();
  }
}

class TargetPossible implements Watcher {
  readonly invariant = 'target-possible';
  readonly #loss: PermittedLoss;
  readonly #mirrors: ReadonlyMap<string, WatchedMirror>;
  readonly #open = new Map<number, { readonly node: NodeName; readonly writes: readonly SectorWrite[] }>();
  #told = true;

  constructor(context: Parameters<WatcherFactory>[0]) {
    this.#mirrors = new Map(context.mirrors.map((mirror) => [mirror, new WatchedMirror()]));
    this.#loss = new PermittedLoss(context, {
      cachesLost: (mirror) => this.#mirrors.get(mirror)?.forgive(),
      reset: () => {
        for (const mirror of this.#mirrors.values()) mirror.forgive();
      },
    });
  }

  issued(request: ApplicationRequest): void {
    this.#loss.issued(request);
    const mirror = this.#mirrors.get(request.mirror);
    if (mirror && request.kind === 'write') this.#open.set(request.id, { node: request.node, writes: mirror.history.issue(request) });
  }

  ended(request: ApplicationRequest): void {
    this.#loss.ended(request);
    const open = this.#open.get(request.id);
    this.#open.delete(request.id);
    const { endedAt, offsetBytes } = request;
    if (!open || endedAt === null || request.errorCode !== null || !this.#loss.counts(request)) return;
    this.#mirrors.get(request.mirror)?.acknowledgements.add({ endedAt, first: offsetBytes / sectorBytes, writes: open.writes });
  }

  changed(change: DiskChange): void {
    if (change.disk === 'element' && change.mirror !== null) this.#mirrors.get(change.mirror)?.images[change.node].changed(change);
  }

  entry(entry: Parameters<NonNullable<Watcher['entry']>>[0]): void {
    this.#told = true;
    this.#loss.entry(entry);
  }

  died(node: NodeName, how: 'process' | 'power', view: PairView): void {
    for (const [id, open] of this.#open) if (open.node === node) this.#open.delete(id);
    for (const { images } of this.#mirrors.values()) {
      images[node].skip();
      if (how === 'power') images[node].doubtful = true;
    }
    this.#loss.died(node, how, view);
  }

  check(view: PairView): string | null {
    this.#loss.check(view);
    const told = this.#told;
    this.#told = false;
    for (const [name, { images }] of this.#mirrors) {
      for (const node of nodeNames) {
        const image = images[node];
        if (!told && !image.hasChanged) continue;
        const wrong = this.#judge(image, node, name, view);
        if (wrong !== null) return `the element of ${name} at ${node} is in a state that its source never had: ${wrong}`;
      }
    }
    return null;
  }

  #judge(image: Image, node: NodeName, name: string, view: PairView): string | null {
    const side = view.nodes[node].mirrors.get(name);
    const state = view.nodes[node].running ? side?.state : null;
    if (state?.role === 'target' && state.element === 'uptodate') image.doubtful = false;
    if (side && state && isImage(state) && !image.doubtful && !this.#loss.suspended) return image.judge(side.element.contents);
    image.skip();
    return null;
  }
}

/** A passive element that counts as the complete image of some instant. */
function isImage({ serving, element }: MirrorState): boolean {
  return serving === 'no' && (element === 'uptodate' || element === 'consistent');
}

/** An element that counts as complete holds what its source could have held: with a write, all that was acknowledged before that was issued. */
export const targetPossible: WatcherFactory = (context) => new TargetPossible(context);
