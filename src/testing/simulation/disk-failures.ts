import type { DiskFault, DiskName } from './disk-faults.ts';
import { holdsLastCopy, mayGiveWay, pairRecordOf, secondCopiesSave } from './last-copy.ts';
import type { HoldingNode } from './last-copy.ts';
import { otherNode } from './steps.ts';
import type { NodeName } from './steps.ts';
import type { World } from './world.ts';

/**
 * The failures of disks that a mirror of two must survive: those of one node at a time, as long as the other one holds the same. A disk that fails while it holds the
 * only good copy of anything is a second failure, which no mirror of two survives.
 */
export class DiskFailures {
  readonly #world: World;
  /** The node whose disks were made to lose data or refuse it. */
  #sick: NodeName | null = null;
  /** Nodes that lost power while the pair was not made whole since. */
  readonly #lostCaches = new Set<NodeName>();

  constructor(world: World) {
    this.#world = world;
  }

  /** The node loses what its disks had cached. */
  powerLost(node: NodeName): void {
    this.#lostCaches.add(node);
  }

  /** A disk loses data or refuses it from now on. Nothing happens while those of the other node do. */
  sicken(node: NodeName, disk: DiskName, mirror: string | undefined, fault: DiskFault): void {
    const { nodes } = this.#world;
    if (nodes[otherNode(node)].disks.all.some(({ fails }) => fails)) return;
    nodes[node].disks.named(disk, mirror).inject(fault);
    this.#sick = node;
    this.spareLastCopy();
  }

  /** Once a node holds the only good copy of anything, or is about to, its disks work, but one of the two copies of metadata or pair record may stay unreadable. */
  spareLastCopy(): void {
    if (this.#lostCaches.size > 0 && this.#world.whole) this.#lostCaches.clear();
    const node = this.#sick;
    if (node === null) return;
    const { disks } = this.#world.nodes[node];
    if (!disks.all.some(({ fails }) => fails)) this.#sick = null;
    else if (this.#holdsLastCopy(node) || this.#mayBecomeLastCopy(node)) {
      for (const { element } of disks.mirrors.values()) element.heal();
      const saved = secondCopiesSave(disks);
      for (const disk of disks.all) {
        if (saved) disk.mend();
        else disk.heal();
      }
    }
  }

  /**
   * An operator gives the node new disks, as after `init --force --blank`, and starts it. Nothing happens where it holds the only good copy of anything, where
   * the other one does not own the service, or has disks that fail.
   */
  async replace(node: NodeName): Promise<void> {
    const { nodes, options } = this.#world;
    const { disks } = nodes[otherNode(node)];
    const owner = pairRecordOf(disks)?.epoch.owner;
    if (owner !== otherNode(node) || disks.all.some(({ fails }) => fails) || this.#holdsLastCopy(node)) return;
    if (mayGiveWay(this.#holding(otherNode(node)), this.#holding(node))) return;
    this.#world.kill(node, options.powerCuts ? 'power' : 'process');
    await this.#world.replaceDisks(node);
    this.#world.boot(node);
  }

  #holdsLastCopy(node: NodeName): boolean {
    return holdsLastCopy(this.#holding(node), this.#holding(otherNode(node)));
  }

  /** What its process, which has ended, has sent may still make the other node its target, in a handshake that does not know of the end. */
  #mayBecomeLastCopy(node: NodeName): boolean {
    const [own, other] = [this.#holding(node), this.#holding(otherNode(node))];
    const handshaking = other.process?.opened === true && [...other.process.mirrors.values()].some((mirror) => mirror.state().handshaking);
    return own.process?.opened !== true && handshaking && mayGiveWay(other, own);
  }

  #holding(node: NodeName): HoldingNode {
    const { disks, process } = this.#world.nodes[node];
    return { disks, process, lostCache: this.#lostCaches.has(node) };
  }
}
