import type { Clock } from '../../clock/clock.ts';
import type { LinkConditions } from '../../transport/link-conditions.ts';
import { MemoryNetwork } from '../../transport/memory.ts';
import type { MemoryLink } from '../../transport/memory.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { NodeName } from './steps.ts';
import { nodeNames } from './steps.ts';

/** Names that address several links at once. */
const allLinks = 'all';
const dataLinks = 'data';

/** The data link of a mirror by name. */
export function dataLinkOf(mirror: string): string {
  return `${dataLinks}:${mirror}`;
}

const deliveryLabel = 'link ';

/** The label of the timers of a link, by its name. */
export function deliveryLabelOf(link: string): string {
  return deliveryLabel + link;
}

/** Whether a timer is one of a link: something on its way arrives. */
export function isDelivery({ label }: { readonly label: string }): boolean {
  return label.startsWith(deliveryLabel);
}

/** Every link of a pair by its name: the data links, then the monitor links. */
export function linkNames({
  mirrors,
  monitorLinks,
}: {
  readonly mirrors: readonly string[];
  readonly monitorLinks: readonly string[];
}): readonly string[] {
  return [...mirrors.map(dataLinkOf), ...monitorLinks];
}

/** The links that a name of a step means. Throws `RangeError` for a name of none. */
export function linksNamed(
  name: string,
  pair: { readonly mirrors: readonly string[]; readonly monitorLinks: readonly string[] },
): readonly string[] {
  if (name === allLinks) return linkNames(pair);
  if (name === dataLinks) return pair.mirrors.map(dataLinkOf);
  if (linkNames(pair).includes(name)) return [name];
  throw new RangeError(`there is no link ${name}; there are ${[...linkNames(pair), dataLinks, allLinks].join(', ')}`);
}

interface SimulatedNetworkOptions {
  /** The clock of a link, by its name. */
  readonly clockOf: (link: string) => Clock;
  readonly random: SeededRandom;
  readonly mirrors: readonly string[];
  readonly monitorLinks: readonly string[];
  readonly conditions: LinkConditions;
  /** Told when a direction of a link opens or is cut. */
  readonly changed: (link: string, open: Readonly<Record<NodeName, boolean>>) => void;
}

/** Every link of a pair, with cuts that overlap and nodes that stand still. */
export class SimulatedNetwork {
  readonly #options: SimulatedNetworkOptions;
  readonly #links = new Map<string, MemoryLink>();
  /** `link:node` for each direction that is cut. */
  readonly #cuts = new Map<string, { readonly link: string; readonly from: NodeName }>();
  readonly #still = new Set<NodeName>();
  /** What each direction is like that is not as it was at the beginning, by `link:node`. */
  readonly #conditions = new Map<string, { readonly link: string; readonly from: NodeName; readonly conditions: LinkConditions }>();

  constructor(options: SimulatedNetworkOptions) {
    this.#options = options;
    for (const name of linkNames(options)) {
      const clock = options.clockOf(name);
      const network = new MemoryNetwork({ clock, random: options.random });
      this.#links.set(name, network.link(name, { nodes: ['alpha', 'beta'], conditions: options.conditions }));
    }
  }

  /** The links, by name. */
  get links(): ReadonlyMap<string, MemoryLink> {
    return this.#links;
  }

  link(name: string): MemoryLink {
    const link = this.#links.get(name);
    if (!link) throw new RangeError(`there is no link ${name}; there are ${[...this.#links.keys()].join(', ')}`);
    return link;
  }

  /** The links that a step names. Throws `RangeError` for a name of none. */
  named(name: string): readonly string[] {
    return linksNamed(name, this.#options);
  }

  /** Each direction that is cut. */
  get cuts(): readonly { readonly link: string; readonly from: NodeName }[] {
    return [...this.#cuts.values()];
  }

  /** Each direction that is not as it was at the beginning, with what it is like. */
  get troubled(): readonly { readonly link: string; readonly from: NodeName; readonly conditions: LinkConditions }[] {
    return [...this.#conditions.values()];
  }

  /** Whether what this node sends over the link arrives. */
  isOpen(link: string, from: NodeName): boolean {
    return !this.#cuts.has(`${link}:${from}`) && this.#still.size === 0;
  }

  cut(name: string, from: readonly NodeName[] = nodeNames): void {
    this.#change(name, (link) => {
      for (const node of from) this.#cuts.set(`${link}:${node}`, { link, from: node });
    });
  }

  heal(name: string): void {
    this.#change(name, (link) => {
      for (const node of nodeNames) this.#cuts.delete(`${link}:${node}`);
    });
  }

  break(name: string): void {
    for (const link of this.named(name)) this.link(link).break();
  }

  setConditions(name: string, conditions: LinkConditions, from?: NodeName): void {
    for (const link of this.named(name)) {
      this.link(link).setConditions(conditions, from);
      for (const node of from === undefined ? nodeNames : [from]) {
        if (conditions === this.#options.conditions) this.#conditions.delete(`${link}:${node}`);
        else this.#conditions.set(`${link}:${node}`, { link, from: node, conditions });
      }
    }
  }

  /** A process that stands still neither takes nor sends. */
  standStill(node: NodeName, still: boolean): void {
    if (still) this.#still.add(node);
    else this.#still.delete(node);
    for (const link of this.#links.keys()) this.#apply(link);
  }

  /** Every connection of this node's process is gone. */
  kill(node: NodeName): void {
    // A kernel may still send what it took, and the wire delivers what it carries.
    const keeps = (underWay: number): number => this.#options.random.below(underWay + 1);
    for (const link of this.#links.values()) link.kill(node, keeps);
    this.standStill(node, false);
  }

  #change(name: string, change: (link: string) => void): void {
    for (const link of this.named(name)) {
      change(link);
      this.#apply(link);
      const open = (from: NodeName): boolean => !this.#cuts.has(`${link}:${from}`);
      this.#options.changed(link, { alpha: open('alpha'), beta: open('beta') });
    }
  }

  #apply(name: string): void {
    const link = this.link(name);
    const cut = nodeNames.filter((node) => !this.isOpen(name, node));
    link.heal();
    for (const node of cut) link.cut(node);
  }
}
