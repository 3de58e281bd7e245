import { HotMirrorError } from '../errors.ts';
import type { PairNode } from './pair-node.ts';
import type { ResolveOrder } from './ports.ts';
import { refusal } from './refusal.ts';

/** An order for the mirror of one node, on its way there. */
export interface MirrorResolve extends ResolveOrder {
  readonly mirror: string;
}

/** Has the peer carry an order out; rejects with its refusal, or as a request does. */
export type ForwardResolve = (order: MirrorResolve) => Promise<void>;

/**
 * Ends the split brains of mirrors as this node sees them: of the named one, or of all. The survivor is told first, so that it takes back an earlier word that
 * it gives way, then the other gives way. Where the survivor cannot be reached the other may be told all the same: while both give way nothing is copied.
 */
export async function resolveMirrors(
  node: PairNode,
  survivor: string,
  mirror: string | null,
  salvage: string | null,
  forward: ForwardResolve,
): Promise<void> {
  const meant = mirror === null ? node.mirrors : node.mirrors.filter(({ name }) => name === mirror);
  if (meant.length === 0) throw new RangeError(`there is no mirror ${String(mirror)}`);
  for (const one of meant) {
    const view = one.state();
    if (view.split) {
      const order: MirrorResolve = { mirror: one.name, survivor, judged: view.split.judged, ...(salvage === null ? {} : { salvage }) };
      await tell(node, order, forward);
    } else if (mirror !== null && view.connection !== 'connected') {
      throw refusal('lineage.resolve', `${node.name} knows of no split brain of ${mirror}: its data link is ${view.connection}`);
    }
  }
}

/** Carries an order out on this node. */
export async function resolveHere(node: PairNode, order: MirrorResolve): Promise<void> {
  const mirror = node.mirrors.find((one) => one.name === order.mirror);
  if (!mirror) throw refusal('lineage.resolve', `there is no mirror ${order.mirror}`);
  await node.order(mirror, 'resolve', () => mirror.resolve(order));
}

async function tell(node: PairNode, order: MirrorResolve, forward: ForwardResolve): Promise<void> {
  if (order.survivor === node.name) {
    await resolveHere(node, order);
    await forward(order);
    return;
  }
  await forward(order).catch((error: unknown) => {
    const unreachable = error instanceof HotMirrorError && (error.code === 'HM_PEER_UNREACHABLE' || error.code === 'HM_REQUEST_TIMEOUT');
    if (!unreachable) throw error;
  });
  await resolveHere(node, order);
}
