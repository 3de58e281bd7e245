import { formatEpoch } from '../epoch.ts';
import type { Rule } from '../rules.ts';
import type { PairNode } from './pair-node.ts';
import type { MirrorPort } from './ports.ts';

/** How serving begins. */
export interface ServeOrder {
  /** The peer is not needed: it is dead, or an operator, policy or arbiter says so. */
  readonly alone: boolean;
  /** Serve from elements that are not uptodate. */
  readonly force: boolean;
  readonly rule: Rule;
  readonly reason: string;
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
  const force = order.force ? { force: true } : {};
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
  node.unpromoted = failed.length === 0 ? null : { order, mirrors: failed };
  if (failed.length > 0) node.retryLater();
  else void startService(node, order.reason);
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
