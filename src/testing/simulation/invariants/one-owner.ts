import { formatEpoch, noEpoch } from '../../../epoch.ts';
import type { Epoch } from '../../../epoch.ts';
import { otherNode } from '../steps.ts';
import type { NodeName } from '../steps.ts';
import type { ApplicationRequest, PairView, Watcher, WatcherFactory } from '../watcher.ts';
import { PermittedLoss } from './permitted-loss.ts';

class OneOwner implements Watcher {
  readonly invariant = 'one-owner';
  readonly #promised: boolean;
  readonly #loss: PermittedLoss;
  /** The highest epoch in which each node replied, on any mirror: the other may reply only in a higher one. */
  #highest: Readonly<Record<NodeName, Epoch>> = { alpha: noEpoch, beta: noEpoch };
  /** The highest epoch that replied, by node and mirror: the epoch of a mirror is raised when it needs to be, but never goes back. */
  readonly #reached = new Map<string, number>();
  /** Nodes that stand still. */
  readonly #still = new Set<NodeName>();
  #broken: string | null = null;

  constructor(context: Parameters<WatcherFactory>[0]) {
    this.#promised = context.promises.oneOwner;
    this.#loss = new PermittedLoss(context, {
      cachesLost: () => undefined,
      reset: () => (this.#highest = { alpha: noEpoch, beta: noEpoch }),
    });
  }

  issued(request: ApplicationRequest): void {
    this.#loss.issued(request);
  }

  ended(request: ApplicationRequest): void {
    const { id, kind, mirror, node, epoch, errorCode } = request;
    const what = `${kind} ${String(id)} of ${mirror}`;
    if (this.#still.has(node)) this.#broken ??= `${what} was answered by ${node} while it stood still`;
    this.#loss.ended(request);
    if (errorCode !== null || !epoch) return;
    const wrong = this.#replied(node, mirror, epoch);
    if (wrong !== null) this.#broken ??= `${what} was answered by ${node} in epoch ${formatEpoch(epoch)}, ${wrong}`;
  }

  entry(entry: Parameters<NonNullable<Watcher['entry']>>[0]): void {
    this.#loss.entry(entry);
    const { event, node, evidence } = entry;
    if (event !== 'node:state' || node === 'world') return;
    if (evidence?.['state'] === 'paused') this.#still.add(node);
    else this.#still.delete(node);
  }

  died(node: NodeName, how: 'process' | 'power', view: PairView): void {
    this.#loss.died(node, how, view);
  }

  check(view: PairView): string | null {
    this.#loss.check(view);
    return this.#broken;
  }

  #replied(node: NodeName, mirror: string, epoch: Epoch): string | null {
    const { number, owner } = epoch;
    const reached = this.#reached.get(`${node} ${mirror}`) ?? 0;
    const other = this.#highest[otherNode(node)];
    if (owner !== node) return 'which it does not own';
    if (number < reached) return `after it had answered in epoch ${String(reached)}`;
    this.#reached.set(`${node} ${mirror}`, number);
    if (number <= other.number && this.#promised && !this.#loss.operatorSpoke)
      return `after ${formatEpoch(other)} had answered: two owners`;
    if (number > this.#highest[node].number) this.#highest = { ...this.#highest, [node]: epoch };
    return null;
  }
}

/** Only the owner of an epoch answers in it, no lower epoch after a higher one, and nobody who stands still. */
export const oneOwner: WatcherFactory = (context) => new OneOwner(context);
