import type { FailoverSnapshot } from '../../failover/status.ts';
import type { ElementMetadata } from '../../mirror/metadata.ts';
import type { MirrorLink } from '../../mirror/mirror-link.ts';
import type { MirrorState } from '../../mirror/state.ts';
import type { MirrorDisks } from './node-disks.ts';
import { dataLinkOf } from './simulated-network.ts';
import type { NodeName } from './steps.ts';
import type { DiskView, MirrorSide, NodeView, PairView } from './watcher.ts';
import type { World } from './world.ts';

/** Shows a world to its watchers: live, and read only when asked. */
export function pairView(world: World): PairView {
  const nodes = { alpha: new LiveNode(world, 'alpha'), beta: new LiveNode(world, 'beta') };
  return {
    get nowMs() {
      return world.clock.nowMs();
    },
    nodes,
    dataLinkOpen: (mirror) => {
      const link = dataLinkOf(mirror);
      return world.network.isOpen(link, 'alpha') && world.network.isOpen(link, 'beta');
    },
  };
}

class LiveNode implements NodeView {
  readonly name: NodeName;
  readonly mirrors: ReadonlyMap<string, MirrorSide>;
  readonly #world: World;

  constructor(world: World, name: NodeName) {
    this.#world = world;
    this.name = name;
    const link = (mirror: string): MirrorLink | undefined => world.nodes[name].process?.openMirror(mirror);
    this.mirrors = new Map(
      [...world.nodes[name].disks.mirrors].map(([mirror, disks]) => [mirror, new LiveSide(disks, () => link(mirror))]),
    );
  }

  get running(): boolean {
    return this.#world.nodes[this.name].process !== undefined;
  }

  get paused(): boolean {
    return this.#world.nodes[this.name].process?.clock.paused ?? false;
  }

  get failover(): FailoverSnapshot | null {
    const { process } = this.#world.nodes[this.name];
    return process?.ready ? process.orchestrator.snapshot() : null;
  }
}

class LiveSide implements MirrorSide {
  readonly element: DiskView;
  readonly metadata: DiskView;
  readonly #link: () => MirrorLink | undefined;

  constructor({ element, metadata }: MirrorDisks, link: () => MirrorLink | undefined) {
    this.element = element;
    this.metadata = metadata;
    this.#link = link;
  }

  get state(): MirrorState | null {
    return this.#link()?.state() ?? null;
  }

  get known(): ElementMetadata | null {
    return this.#link()?.snapshot().metadata ?? null;
  }
}
