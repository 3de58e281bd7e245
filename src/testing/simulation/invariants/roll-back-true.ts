import type { SimulationEntry } from '../entry.ts';
import { nodeNames } from '../steps.ts';
import type { PairView, Watcher, WatcherFactory } from '../watcher.ts';

/** What an element held when the resync began that its undo journal is of. */
interface Image {
  readonly undoId: string;
  /** Of the mirror as it was: where a resync makes it larger, what lies beyond is nobody's (rule lineage.grow). */
  readonly contents: Uint8Array;
}

class RollBackTrue implements Watcher {
  readonly invariant = 'roll-back-true';
  readonly #mirrors: readonly string[];
  /** By node and mirror. */
  readonly #images = new Map<string, Image>();
  #rolledBack: string[] = [];

  constructor(mirrors: readonly string[]) {
    this.#mirrors = mirrors;
  }

  entry({ event, node, mirror }: SimulationEntry): void {
    if (event === 'element:rolled-back') this.#rolledBack.push(`${mirror ?? ''} at ${node}`);
  }

  check(view: PairView): string | null {
    for (const node of nodeNames) for (const mirror of this.#mirrors) this.#keep(node, mirror, view);
    for (const place of this.#rolledBack.splice(0)) {
      const wrong = this.#compare(place, view);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  /** The journal counts from the moment at which the metadata name it; nothing of the resync is written before. */
  #keep(node: (typeof nodeNames)[number], mirror: string, view: PairView): void {
    const side = view.nodes[node].mirrors.get(mirror);
    const known = side?.known;
    if (!side || !known?.undo) return;
    const { undo, sizeBytes } = known;
    const place = `${mirror} at ${node}`;
    if (this.#images.get(place)?.undoId !== undo.id)
      this.#images.set(place, { undoId: undo.id, contents: side.element.contents.slice(0, sizeBytes) });
  }

  #compare(place: string, view: PairView): string | null {
    const [mirror = '', node] = place.split(' at ');
    const name = nodeNames.find((each) => each === node);
    const contents = name && view.nodes[name].mirrors.get(mirror)?.element.contents;
    const image = this.#images.get(place);
    if (!contents || !image) return `the element of ${place} was rolled back by a journal that nobody saw begin`;
    const at = image.contents.findIndex((byte, index) => contents[index] !== byte);
    return at < 0 ? null : `the element of ${place} was rolled back, and byte ${String(at)} is not what it was before the resync`;
  }
}

/** An element that was rolled back holds what it held when the resync began (rule resync.undo). */
export const rollBackTrue: WatcherFactory = ({ mirrors, undoJournals = true }) => new RollBackTrue(undoJournals ? mirrors : []);
