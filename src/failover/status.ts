import type { Epoch } from '../epoch.ts';
import { formatEpoch } from '../epoch.ts';
import { handoverObstacles } from './handover.ts';
import type { ProbeReport } from '../health.ts';
import type { PairNode } from './pair-node.ts';
import type { Control, Mode, PairRecord } from './pair-record.ts';
import { modeOf } from './pair-record.ts';
import type { PeerReport, ServiceState } from './peer-report.ts';
import type { PlannedStep, Way } from './plan.ts';
import { planMove } from './plan.ts';
import type { Block } from './takeover.ts';
import { judgeTakeover } from './takeover-run.ts';

/** A node as it is now. */
export interface FailoverStatus {
  readonly node: string;
  readonly home: 'primary' | 'standby';
  /** Null while the pair has no owner yet. */
  readonly mode: Mode | null;
  readonly serving: boolean;
  readonly booting: boolean;
  /** The number of the pair's epoch; 0 while there is none. */
  readonly epoch: number;
  readonly owner: string;
  readonly control: Control;
  readonly service: ServiceState;
  /** Rules that keep this node from doing what it would do now. */
  readonly blockedBy: readonly Block[];
  /** What the configuration makes dangerous, such as `takeover.unfenced`. */
  readonly warnings: readonly Block[];
  /** What the health probes of the peer found last; absent: it has none, or does not answer. */
  readonly peerHealth?: readonly ProbeReport[];
}

/** All that a later step depends on. */
export interface FailoverSnapshot extends FailoverStatus {
  readonly record: PairRecord;
  readonly peer: PeerReport | null;
  readonly heard: Epoch;
  readonly moving: string | null;
  readonly takingOver: boolean;
  readonly leaving: boolean;
  readonly pendingHandBack: Epoch | null;
  readonly raisedFor: readonly string[];
  /** When mirrors that refused to go alone are asked again. */
  readonly aloneAgainMs: readonly (readonly [string, number])[];
  readonly doubted: readonly string[];
  readonly sealed: boolean;
  readonly taking: Epoch | null;
  readonly offer: { readonly attempts: number; readonly force: boolean; readonly sent: boolean };
  /** Automatic takeovers that failed in a row, and when the next may be tried. */
  readonly attempts: { readonly failed: number; readonly nextMs: number };
  /** Mirrors that could not be promoted yet. */
  readonly unpromoted: readonly string[];
  readonly servingSinceMs: number;
  readonly unreachableAtMs: number;
  /** It stood still, and nothing heard since shows that it is still the owner. */
  readonly ownershipDoubted: boolean;
  /** When the token was sent whose answer the peer's report came with, and the latest that was answered at all. */
  readonly peerProbedMs: number | null;
  readonly answeredProbeMs: number | null;
}

/** What a command would do now. */
export interface FailoverPlan {
  readonly way: Way | 'none';
  readonly steps: readonly PlannedStep[];
  readonly blockedBy: readonly Block[];
}

/** Makes the status of a node. */
export function statusOf(node: PairNode): FailoverStatus {
  const { epoch, homes, control } = node.record;
  const peerHealth = node.livePeer()?.health;
  return {
    node: node.name,
    home: homes.primary === node.name ? 'primary' : 'standby',
    mode: modeOf(epoch, homes),
    serving: node.serving,
    booting: node.booting,
    epoch: epoch.number,
    owner: epoch.owner,
    control: control.value,
    service: node.service.state,
    blockedBy: blockedBy(node),
    warnings: warnings(node),
    ...(peerHealth ? { peerHealth } : {}),
  };
}

/** Makes the snapshot of a node. */
export function snapshotOf(node: PairNode): FailoverSnapshot {
  return {
    record: node.record,
    peer: node.peerSeen?.report ?? null,
    heard: node.heard.epoch,
    moving: node.move,
    takingOver: node.takeover !== null,
    leaving: node.leaving,
    pendingHandBack: node.pendingHandBack?.granted ?? null,
    raisedFor: [...node.raisedFor],
    aloneAgainMs: [...node.aloneAgainMs],
    doubted: [...node.doubted.keys()],
    sealed: node.sealed,
    taking: node.taking?.epoch ?? null,
    offer: node.offer,
    attempts: node.attempts,
    unpromoted: (node.unpromoted?.mirrors ?? []).map(({ name }) => name),
    servingSinceMs: node.servingSinceMs,
    unreachableAtMs: node.unreachableAtMs,
    ownershipDoubted: node.ownershipDoubted,
    peerProbedMs: node.peerSeen?.probeSentMs ?? null,
    answeredProbeMs: node.lastAnswer?.probeSentMs ?? null,
    // Behind the others: V8 is very slow with properties that follow spread ones.
    ...statusOf(node),
  };
}

function blockedBy(node: PairNode): readonly Block[] {
  const { epoch, conflict } = node.record;
  if (conflict)
    return [{ rule: 'boot.conflict', because: `${formatEpoch(epoch)} and ${formatEpoch(conflict)} are one epoch with two owners` }];
  if (node.booting) return node.boot && node.boot.action !== 'passive' ? [{ rule: node.boot.rule, because: node.boot.because }] : [];
  if (!node.serving && node.blockers.length === 0 && node.monitor.peerState() === 'left') {
    return [{ rule: 'node.leave', because: 'the peer was stopped cleanly, so an operator decides' }];
  }
  return node.blockers;
}

function warnings(node: PairNode): readonly Block[] {
  const unfenced =
    node.policy.whenAlone === 'continue' && node.record.control.value === 'auto' && !node.arbitration.present && !node.hasFence;
  if (!unfenced) return [];
  return [
    {
      rule: 'takeover.unfenced',
      because: 'control is auto with neither arbiter nor fence: when every link is cut there can be two owners',
    },
  ];
}

/** Makes the plan of a command. */
export function planOf(node: PairNode, wish: 'fallback' | 'recover'): FailoverPlan {
  const { epoch, homes, released } = node.record;
  const target = wish === 'fallback' ? homes.standby : homes.primary;
  const giver = target === node.name ? node.peerName : node.name;
  const peer = node.livePeer();
  const there = target === node.name ? node.serving : epoch.owner === target && (peer?.serving ?? false);
  if (there && !released) return { way: 'none', steps: [], blockedBy: [] };
  const way: Way = target !== node.name || peer ? 'handover' : 'takeover';
  const steps = planMove(way, giver, target, { arbiter: node.arbitration.present, fence: node.hasFence });
  return { way, steps, blockedBy: way === 'takeover' ? takeoverBlocks(node) : handoverBlocks(node, target, wish) };
}

function takeoverBlocks(node: PairNode): readonly Block[] {
  return judgeTakeover(node, { byOperator: true, force: false, overrides: [], reason: 'a plan' }).blockedBy;
}

/** From either side: what the giver calls the peer's element is the taker's own. */
function handoverBlocks(node: PairNode, target: string, wish: 'fallback' | 'recover'): readonly Block[] {
  const peer = node.livePeer();
  const own = node.report();
  const taking = target === node.name;
  const mirrors = node.views().map((view) => (taking ? { ...view, peerElement: view.element } : view));
  return handoverObstacles({
    rule: wish === 'recover' ? 'recover.ready' : 'handover',
    peer: taking ? own : peer,
    serving: taking ? (peer?.serving ?? false) : node.serving,
    mirrors,
    force: false,
  });
}
