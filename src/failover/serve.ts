import { formatEpoch } from '../epoch.ts';
import type { Rule } from '../rules.ts';
import { retryMs } from './pair-node.ts';
import type { PairNode } from './pair-node.ts';
import type { MirrorPort } from './ports.ts';

/** How serving begins. */
export interface ServeOrder {
  /** The peer is not needed: it is dead, or an operator, policy or arbiter says so. */
  readonly alone: boolean;
  /** Serve from elements that are not uptodate. */
  readonly force: boolean;
  /** Whether force rolls elements back: only where an operator has said so. */
  readonly rollBack: boolean;
  readonly rule: Rule;
  readonly reason: string;
}

/** What could not be promoted yet, and how it is to be. */
export interface Unpromoted {
  readonly order: ServeOrder;
  readonly mirrors: readonly MirrorPort[];
  /** The states of their elements then. */
  readonly elements: string;
  /** When it is tried again though nothing has changed. */
  readonly nextMs: number;
}

/**
 * Serves in the epoch of the record, which is durable and this node's. What could not be promoted is tried again by the next look;
 * the steps of the service follow when everything is.
 */
export async function serve(node: PairNode, order: ServeOrder): Promise<void> {
  const { epoch } = node.record;
  node.serving = true;
  node.booting = false;
  node.blockers = [];
  node.servingSinceMs = node.clock.nowMs();
  node.emit('service:started', {
    class: order.alone ? 2 : 0,
    rule: order.rule,
    epoch,
    text: `${node.name} serves epoch ${formatEpoch(epoch)}: ${order.reason}`,
  });
  await promote(node, order);
}

/** Promotes the given mirrors, and then starts the service. */
export async function promote(node: PairNode, order: ServeOrder, mirrors: readonly MirrorPort[] = node.mirrors): Promise<void> {
  const { epoch } = node.record;
  const force = order.force ? { force: true, rollBack: order.rollBack } : {};
  const failed: MirrorPort[] = [];
  await node.orderAll(
    'promotion',
    (mirror) =>
      mirror.promote({ epoch, alone: order.alone, ...force }).catch((error: unknown) => {
        failed.push(mirror);
        throw error;
      }),
    mirrors,
  );
  if (!node.serving) return;
  const nextMs = node.clock.nowMs() + retryMs;
  node.unpromoted = failed.length === 0 ? null : { order, mirrors: failed, elements: elementsOf(failed), nextMs };
  if (failed.length === 0) {
    void startService(node, order.reason);
    return;
  }
  // A takeover has sealed it; where it was doubted since, only its peer can tell that it is uptodate.
  await node.orderAll('reconnecting', (mirror) => mirror.unseal(), failed);
  node.retryLater();
}

/** Tries again what could not be promoted: once its elements are other ones, else now and then, for the attempt itself is a change that makes the node look again. */
export async function promoteTheRest(node: PairNode): Promise<void> {
  const { unpromoted } = node;
  if (!unpromoted || (node.clock.nowMs() < unpromoted.nextMs && elementsOf(unpromoted.mirrors) === unpromoted.elements)) return;
  await promote(node, unpromoted.order, unpromoted.mirrors);
}

function elementsOf(mirrors: readonly MirrorPort[]): string {
  return mirrors.map((mirror) => mirror.state().element).join(' ');
}

/** Runs the start steps; what fails is an event and a state, and the command that waits for it sees both. */
export async function startService(node: PairNode, reason: string): Promise<void> {
  try {
    await node.service.start(node.record.epoch.number, reason);
  } catch {
    // Reported by step:failed; the state of the service tells the rest.
  }
}

/** The service is no longer this node's: everything is taken down as far as it goes. */
export async function loseService(node: PairNode, rule: Rule, reason: string): Promise<void> {
  const { epoch } = node.record;
  node.serving = false;
  node.unpromoted = null;
  node.raisedFor.clear();
  node.emit('service:stopped', { class: rule === 'boot.conflict' ? 3 : 2, rule, epoch, text: `${node.name} no longer serves: ${reason}` });
  await stopLeftovers(node, reason);
}

/** Stops what may still be up on a node that does not serve. */
export async function stopLeftovers(node: PairNode, reason: string): Promise<void> {
  await node.service.stop(node.record.epoch.number, reason, { bestEffort: true, journalled: true }).catch(() => undefined);
}
