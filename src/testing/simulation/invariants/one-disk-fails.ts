import type { MirrorState } from '../../../mirror/state.ts';
import type { SimulationEntry } from '../entry.ts';
import { nodeNames, otherNode } from '../steps.ts';
import type { NodeName } from '../steps.ts';
import type { ApplicationRequest, PairView, Watcher, WatcherFactory } from '../watcher.ts';

/** With what a request ends that a failed disk could not carry out. A full disk is no failed one. */
const diskErrors: ReadonlySet<string | null> = new Set(['HM_IO_READ', 'HM_IO_WRITE', 'HM_IO_FLUSH']);

type Seen = Pick<MirrorState, 'serving' | 'element' | 'peerElement' | 'connection' | 'role' | 'dirtyBytes'>;

class OneDiskFails implements Watcher {
  readonly invariant = 'one-disk-fails';
  readonly #mirrors: readonly string[];
  /** While a source asks its target to fall behind, that cannot be served through, and what is seen of them does not tell of it. */
  readonly #never: ReadonlySet<string>;
  /** By node and mirror: what was last seen. */
  readonly #seen = new Map<string, Seen>();
  #told = true;
  #failed: ApplicationRequest[] = [];

  constructor({ mirrors, pullAhead = new Set() }: Parameters<WatcherFactory>[0]) {
    this.#mirrors = mirrors;
    this.#never = pullAhead;
  }

  entry({ event }: SimulationEntry): void {
    if (event === 'mirror:state' || event === 'element:failed') this.#told = true;
  }

  ended(request: ApplicationRequest): void {
    if (diskErrors.has(request.errorCode)) this.#failed.push(request);
  }

  died(node: NodeName): void {
    for (const mirror of this.#mirrors) this.#seen.delete(keyOf(node, mirror));
    this.#failed = this.#failed.filter((request) => request.node !== node);
  }

  check(view: PairView): string | null {
    if (!this.#told && this.#failed.length === 0) return null;
    this.#told = false;
    return this.#unanswered(view) ?? this.#ended(view);
  }

  /** A request that failed while its node serves on, with a peer that could have served it. */
  #unanswered(view: PairView): string | null {
    for (const { id, kind, node, mirror, errorCode } of this.#failed.splice(0)) {
      const state = view.nodes[node].mirrors.get(mirror)?.state;
      const helped = errorCode !== 'HM_IO_READ' || (state?.dirtyBytes === 0 && this.#whole(node, mirror, view));
      if (state && state.serving !== 'no' && helped)
        return `${kind} ${String(id)} of ${mirror} at ${node} ended with ${String(errorCode)}, while the other element holds everything`;
    }
    return null;
  }

  /** A service that ended with the element of its node, although the other one held everything. */
  #ended(view: PairView): string | null {
    let broken: string | null = null;
    for (const mirror of this.#mirrors) {
      for (const node of nodeNames) {
        const state = view.nodes[node].mirrors.get(mirror)?.state ?? null;
        const before = this.#seen.get(keyOf(node, mirror));
        const other = this.#seen.get(keyOf(otherNode(node), mirror));
        const wasWhole =
          before !== undefined && isSource(before) && before.element === 'uptodate' && before.dirtyBytes === 0 && isTarget(other);
        if (wasWhole && !this.#never.has(mirror) && state?.element === 'failed' && state.serving === 'no')
          broken ??= `the service of ${mirror} at ${node} ended with its element, while the other one holds everything`;
      }
      for (const node of nodeNames) {
        const state = view.nodes[node].mirrors.get(mirror)?.state;
        if (state) this.#seen.set(keyOf(node, mirror), state);
      }
    }
    return broken;
  }

  #whole(node: NodeName, mirror: string, view: PairView): boolean {
    const state = view.nodes[node].mirrors.get(mirror)?.state;
    const other = view.nodes[otherNode(node)].mirrors.get(mirror)?.state;
    return state !== undefined && state !== null && isSource(state) && isTarget(other ?? undefined);
  }
}

const keyOf = (node: NodeName, mirror: string): string => `${node} ${mirror}`;

function isSource({ serving, connection, peerElement }: Seen): boolean {
  return serving === 'yes' && connection === 'connected' && peerElement === 'uptodate';
}

function isTarget(seen: Seen | undefined): boolean {
  return seen?.role === 'target' && seen.element === 'uptodate' && seen.connection === 'connected';
}

/** A disk that fails under the serving node ends no service and no request while the other node holds everything (rule write.error). */
export const oneDiskFails: WatcherFactory = (context) => new OneDiskFails(context);
