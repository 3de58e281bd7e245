import { formatEpoch } from '../../../epoch.ts';
import type { FailoverSnapshot } from '../../../failover/status.ts';
import type { MirrorState } from '../../../mirror/state.ts';
import { nodeNames, otherNode } from '../steps.ts';
import type { MirrorSide, NodeView, PairView } from '../watcher.ts';

/** Who waits for what, a line each: first the nodes, then their mirrors, and last what an operator must know of a split brain. */
export function diagnose(view: PairView): readonly string[] {
  return [
    ...nodeNames.map((name) => describeNode(view.nodes[name], view.nowMs)),
    ...nodeNames.flatMap((name) => describeMirrors(view.nodes[name], view)),
    ...describeSplit(view),
  ];
}

/** Two owners that did not hear each other: which rules say so, which one warned of it, and what ends it. */
function describeSplit({ nodes }: PairView): readonly string[] {
  const both = nodeNames.map((name) => nodes[name]);
  const split = both.some(
    ({ failover, mirrors }) => failover?.record.conflict || [...mirrors.values()].some(({ state }) => state?.connection === 'split-brain'),
  );
  if (!split) return [];
  const unfenced = both.some(({ failover }) => failover?.warnings.some(({ rule }) => rule === 'takeover.unfenced'));
  const why = unfenced
    ? ", which `whenAlone: 'continue'` without arbiter and fence allows where every link is cut (takeover.unfenced): configure `freeze`, an arbiter or a fence where that must not happen"
    : '';
  return [
    `split brain (boot.conflict, lineage.split): both nodes went on alone${why}. It does not end by itself: an operator names the survivor ` +
      '(`orchestrator.resolve`), and runs `init --force --blank` on the other node',
  ];
}

function describeNode(node: NodeView, nowMs: number): string {
  if (!node.running) return `${node.name} is down`;
  const still = node.paused ? ' (its process stands still)' : '';
  if (!node.failover) return `${node.name}${still} starts: its pair record is not loaded yet`;
  return `${node.name}${still} ${describeFailover(node.failover)}${describePeer(node, nowMs)}`;
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

function describePeer({ name, failover }: NodeView, nowMs: number): string {
  const peer = failover?.peer;
  if (!peer) return `, has no report of ${otherNode(name)}`;
  const stance = peer.booting ? 'boots' : peer.serving ? 'serves' : 'is passive';
  const age = failover.peerProbedMs === null ? '' : ` ${(nowMs - failover.peerProbedMs).toFixed(0)} ms ago`;
  return `, was last told${age} that ${peer.node} ${stance} in ${peer.record ? formatEpoch(peer.record.epoch) : 'no epoch'}`;
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
