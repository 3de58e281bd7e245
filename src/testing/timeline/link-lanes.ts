import type { LookName } from './looks.ts';
import type { TimelineLane, TimelineTick } from './model.ts';
import { isFilled, laneOf } from './model.ts';
import type { Moment } from './moment.ts';
import { evidenceOf, said } from './readings.ts';
import { Track } from './track.ts';

const monitorLooks: Readonly<Record<string, LookName>> = { up: 'open', late: 'late', down: 'cut' };
const dataPrefix = 'data:';

interface View {
  readonly track: Track;
  readonly ticks: TimelineTick[];
}

/** Follows one link: what it is, where the log says it, and what each node thinks of it. */
class LinkLanes {
  readonly name: string;
  readonly #truth = new Track();
  readonly #views = new Map<string, View>();

  constructor(name: string) {
    this.name = name;
  }

  /** Which way nothing passes: `alpha` and `beta` are what each sends. */
  truth({ entry, index, atMs }: Moment): void {
    const senders = Object.entries(entry.evidence ?? {}).filter(([, state]) => state === 'open' || state === 'cut');
    const cut = senders.filter(([, state]) => state === 'cut').map(([sender]) => sender);
    if (cut.length === 0) this.#truth.set(atMs, 'open', 'open', index);
    else if (cut.length === senders.length) this.#truth.set(atMs, 'cut', 'cut', index);
    else this.#truth.set(atMs, 'late', `cut from ${cut.join(' and ')}`, index);
  }

  seen({ entry, index, atMs }: Moment, look: LookName, label: string): void {
    this.#view(entry.node).track.set(atMs, look, label, index);
  }

  token({ entry, index, atMs }: Moment): void {
    this.#view(entry.node).ticks.push({ atMs, entry: index });
  }

  unseen(node: string, atMs: number): void {
    this.#views.get(node)?.track.close(atMs);
  }

  lanes(endMs: number): readonly TimelineLane[] {
    const title = this.name.startsWith(dataPrefix) ? `data ${this.name.slice(dataPrefix.length)}` : this.name;
    const truth = laneOf(title, 'state', { spans: this.#truth.spans(endMs) });
    const views = [...this.#views]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([node, { track, ticks }]) =>
        laneOf(isFilled(truth) ? `seen by ${node}` : `${title} seen by ${node}`, 'view', { spans: track.spans(endMs), ticks }),
      );
    return [truth, ...views].filter(isFilled);
  }

  #view(node: string): View {
    const view = this.#views.get(node) ?? { track: new Track(), ticks: [] };
    this.#views.set(node, view);
    return view;
  }
}

/** Follows every link. */
export class LinksLanes {
  readonly #links = new Map<string, LinkLanes>();

  take(moment: Moment): void {
    const { entry } = moment;
    switch (entry.event) {
      case 'link:state':
        this.#named(evidenceOf(entry, 'link'))?.truth(moment);
        break;
      case 'link:changed': {
        const state = said(entry, 'to') ?? '';
        const look = monitorLooks[state];
        if (look !== undefined) this.#named(said(entry, 'link'))?.seen(moment, look, state);
        break;
      }
      case 'link:connected':
        this.#dataLink(entry.mirror)?.seen(moment, 'open', 'connected');
        break;
      case 'link:lost':
        this.#dataLink(entry.mirror)?.seen(moment, 'cut', 'lost');
        break;
      case 'token:answered':
        this.#named(evidenceOf(entry, 'link'))?.token(moment);
        break;
      default:
    }
  }

  /** The process of a node is gone: it sees nothing. */
  unseen(node: string, atMs: number): void {
    for (const link of this.#links.values()) link.unseen(node, atMs);
  }

  /** Data links first, then the monitor's, each by name. */
  lanes(endMs: number): readonly TimelineLane[] {
    const rank = ({ name }: LinkLanes): string => `${name.startsWith('data') ? '0' : '1'}${name}`;
    return [...this.#links.values()].sort((one, other) => (rank(one) < rank(other) ? -1 : 1)).flatMap((link) => link.lanes(endMs));
  }

  #dataLink(mirror: string | undefined): LinkLanes | null {
    return mirror === undefined ? null : this.#named(dataPrefix + mirror);
  }

  #named(name: unknown): LinkLanes | null {
    if (typeof name !== 'string' || name === '') return null;
    const link = this.#links.get(name) ?? new LinkLanes(name);
    this.#links.set(name, link);
    return link;
  }
}
