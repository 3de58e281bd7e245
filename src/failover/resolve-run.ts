import { HotMirrorError } from '../errors.ts';
import type { PairNode } from './pair-node.ts';
import type { MirrorPort, MirrorView, ResolveOrder } from './ports.ts';
import { refusal } from './refusal.ts';

/** An order for the mirror of one node, on its way there. */
export interface MirrorResolve extends ResolveOrder {
  readonly mirror: string;
}

/** Has the peer carry an order out; rejects with its refusal, or as a request does. */
export type ForwardResolve = (order: MirrorResolve) => Promise<void>;

/** What an operator decided. */
export interface MirrorsResolve {
  readonly survivor: string;
  /** Null: every mirror that is split. */
  readonly mirror: string | null;
  readonly salvage: string | null;
  /** The pair records were split too, so that the order ended something even where no mirror is. */
  readonly recordsSplit: boolean;
}

/**
 * Ends the split brains of mirrors as this node sees them: of the named one, or of all. The survivor is told first, so that it takes back an earlier word that
 * it gives way, then the other gives way. Where the survivor cannot be reached the other may be told all the same: while both give way nothing is copied.
 */
export async function resolveMirrors(
  node: PairNode,
  { survivor, mirror, salvage }: MirrorsResolve,
  forward: ForwardResolve,
): Promise<void> {
  for (const one of meantMirrors(node, mirror)) {
    const { split } = one.state();
    if (!split) continue;
    const order: MirrorResolve = { mirror: one.name, survivor, judged: split.judged, ...(salvage === null ? {} : { salvage }) };
    await tell(node, order, forward);
  }
}

/** Before anything is changed: refuses a word about a split of the named mirror that this node does not know of. One that was ended already is none. */
export function assertResolvable(node: PairNode, { mirror, salvage, recordsSplit }: MirrorsResolve): void {
  if (mirror === null) return;
  for (const one of meantMirrors(node, mirror)) {
    const view = one.state();
    if (view.split || (view.connection === 'connected' && !recordsSplit)) continue;
    if (!recordsSplit) throw refusal('lineage.resolve', unknownSplit(node, view));
    if (salvage !== null)
      throw refusal(
        'lineage.resolve',
        `${node.name} knows only of a split of the pair records: nothing of ${mirror} would be kept in ${salvage}`,
      );
  }
}

function meantMirrors(node: PairNode, mirror: string | null): readonly MirrorPort[] {
  const meant = mirror === null ? node.mirrors : node.mirrors.filter(({ name }) => name === mirror);
  if (meant.length === 0) throw new RangeError(`there is no mirror ${String(mirror)}`);
  return meant;
}

function unknownSplit(node: PairNode, { name, connection }: MirrorView): string {
  return `${node.name} knows of no split brain of ${name}: its data link is ${connection}`;
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
