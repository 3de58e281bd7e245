import { formatEpoch } from '../../../epoch.ts';
import type { FailoverSnapshot } from '../../../failover/status.ts';
import type { MirrorState } from '../../../mirror/state.ts';
import { nodeNames, otherNode } from '../steps.ts';
import type { MirrorSide, NodeView, PairView } from '../watcher.ts';

/** Who waits for what, a line each: first the nodes, then their mirrors. */
export function diagnose(view: PairView): readonly string[] {
  return [
    ...nodeNames.map((name) => describeNode(view.nodes[name])),
    ...nodeNames.flatMap((name) => describeMirrors(view.nodes[name], view)),
  ];
}

function describeNode(node: NodeView): string {
  if (!node.running) return `${node.name} is down`;
  const still = node.paused ? ' (its process stands still)' : '';
  if (!node.failover) return `${node.name}${still} starts: its pair record is not loaded yet`;
  return `${node.name}${still} ${describeFailover(node.failover)}${describePeer(node)}`;
}

function describeFailover(failover: FailoverSnapshot): string {
  const { record, control, service } = failover;
  const owner = `epoch ${formatEpoch(record.epoch)}, control ${control}, service ${service}`;
  const under = [
    ...(record.released ? [`released ${formatEpoch(record.released)} to its peer`] : []),
    ...(record.intent ? [`intends to take over with ${formatEpoch(record.intent)}`] : []),
    ...(record.conflict ? [`in conflict with ${formatEpoch(record.conflict)}`] : []),
    ...(failover.takingOver ? ['taking over'] : []),
    ...(failover.moving === null ? [] : [`moving the service to ${failover.moving}`]),
    ...(failover.leaving ? ['leaving'] : []),
    ...(failover.pendingHandBack ? [`owes the arbiter ${formatEpoch(failover.pendingHandBack)}`] : []),
  ];
  const blocked = failover.blockedBy.map(({ rule, because }) => `${rule}: ${because}`).join('; ');
  const waits = blocked === '' ? 'blocked by nothing' : `blocked by ${blocked}`;
  return [`${stanceOf(failover)} (${owner})`, ...under, waits].join(', ');
}

function stanceOf({ booting, serving }: FailoverSnapshot): string {
  if (booting) return 'boots';
  return serving ? 'serves' : 'is passive';
}

function describePeer({ name, failover }: NodeView): string {
  const peer = failover?.peer;
  if (!peer) return `, has no report of ${otherNode(name)}`;
  const stance = peer.booting ? 'boots' : peer.serving ? 'serves' : 'is passive';
  return `, was last told that ${peer.node} ${stance} in ${peer.record ? formatEpoch(peer.record.epoch) : 'no epoch'}`;
}

function describeMirrors(node: NodeView, view: PairView): readonly string[] {
  if (!node.running) return [];
  return [...node.mirrors].map(([mirror, side]) => `${mirror} at ${node.name}: ${describeSide(side, view.dataLinkOpen(mirror))}`);
}

function describeSide({ state, known }: MirrorSide, linkOpen: boolean): string {
  if (!state) return 'not open yet';
  const { element, role, connection, peerElement, dirtyBytes } = state;
  const parts = [
    `element ${element}${known?.note ? ` (${known.note})` : ''}`,
    servingOf(state, linkOpen),
    `data link ${linkOpen ? 'open' : 'closed'} and ${connection}`,
    `role ${role}`,
    `its peer's element ${peerElement}${state.peerBehind ? ' and known to be behind' : ''}`,
    `epoch ${formatEpoch(state.epoch)}`,
    ...(dirtyBytes > 0 ? [`${String(dirtyBytes)} bytes to copy`] : []),
    ...(state.resync ? [`resync at ${String(state.resync.doneBytes)} of ${String(state.resync.totalBytes)} bytes`] : []),
  ];
  return parts.join(', ');
}

function servingOf({ serving, connection, peerBehind }: MirrorState, linkOpen: boolean): string {
  switch (serving) {
    case 'no':
      return 'not served';
    case 'yes':
      return 'served with its peer';
    case 'alone':
      return 'served alone';
    case 'parked': {
      if (connection === 'connected') return 'parked for a moment';
      return `parked: waits for ${linkOpen ? 'its peer' : 'the data link'} or for leave to go on alone${peerBehind ? ', which rule alone gives' : ''}`;
    }
  }
}
