import type { Epoch } from '../epoch.ts';
import { compareEpochs, formatEpoch, highestEpoch } from '../epoch.ts';
import type { Rule } from '../rules.ts';
import type { Homes, PairRecord } from './pair-record.ts';
import { modeOf } from './pair-record.ts';

/** What the boot table looks at in a pair record. */
export type BootRecord = Pick<PairRecord, 'epoch' | 'homes' | 'released' | 'intent' | 'conflict'>;

/** What a node that does not serve knows when it asks the boot table (semantics 9). Plain data. */
export interface BootEvidence {
  readonly node: string;
  readonly peerNode: string;
  /** This node's record; null when it has none. */
  readonly own: BootRecord | null;
  /** The highest epoch in this node's elements. */
  readonly elementEpoch: Epoch;
  /** What the worst of this node's elements is good for. */
  readonly elements: 'uptodate' | 'consistent' | 'unfit';
  /** What the peer says; null when it does not answer and may be taken for unreachable. */
  readonly peer: {
    readonly record: BootRecord | null;
    readonly elementEpoch: Epoch;
    readonly serving: boolean;
  } | null;
  /** Whether the peer's silence has lasted long enough to decide without it (rule `watch.start`). Not looked at when the peer answers. */
  readonly waited: boolean;
  /** The arbiter's epoch; `none` without one, `unreachable` when it cannot be asked. */
  readonly arbiter: 'none' | 'unreachable' | Epoch;
  readonly bootAlone: 'wait' | 'serve';
  /** An operator says that this node may serve without its peer. */
  readonly operator: boolean;
  /** Rules that the operator lifts by name. */
  readonly overrides: readonly Rule[];
}

/** What a node that does not serve is to do. */
export type BootAction =
  /** Serve in the epoch of the record, the peer being passive. */
  | 'serve'
  /** Serve without the peer, in a raised epoch. */
  | 'serve-alone'
  | 'passive'
  | 'wait'
  /** Write `epoch` as the own record and ask again. */
  | 'adopt'
  /** Neither serves until an operator names the survivor. */
  | 'split'
  /** This node crashed with an intent: check again, then complete or abort. */
  | 'resume-takeover'
  /** Give a grant that was never committed back to the arbiter. */
  | 'hand-back'
  /** Send the hand-over again. */
  | 'send-handover';

/** The boot table's answer with its grounds. */
export interface BootDecision {
  readonly action: BootAction;
  readonly rule: Rule;
  readonly because: string;
  /** For `adopt`: what to write. For `split`: the other owner's epoch. For a wait over a grant of the arbiter to the peer: that grant. */
  readonly epoch?: Epoch;
  /** For `adopt`: the homes that come with it. */
  readonly homes?: Homes;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** The grant to the peer over which a node waits, while that lives; null where it waits over none. */
export function grantWaitedFor(decision: BootDecision | null): Epoch | null {
  return decision?.action === 'wait' && decision.rule === 'boot.arbiter' ? (decision.epoch ?? null) : null;
}

type Verdict = Omit<BootDecision, 'evidence'>;

/**
 * The boot table (semantics 9), as a pure function. Any order of starting the two nodes is safe.
 * It is asked by every node that does not serve, not just by one that has started: what makes a start safe makes waiting safe.
 */
export function decideBoot(evidence: BootEvidence): BootDecision {
  return { evidence: { combination: nameCombination(evidence), ...evidence }, ...decide(evidence) };
}

function decide(evidence: BootEvidence): Verdict {
  const { own, peer } = evidence;
  if (!own)
    return peer ? withoutRecord(evidence, peer) : wait('boot.norecord', 'this node has no pair record and its peer does not answer');
  const known = highestEpoch([own.epoch, evidence.elementEpoch]);
  if (known.number > own.epoch.number) return adopt(known, 'the own elements carry a higher epoch than the own record');
  if (compareEpochs(own.epoch, evidence.elementEpoch) === 'conflict') return split(own.epoch, evidence.elementEpoch);
  if (peer) return withPeer(evidence, own, peer);
  if (own.conflict) return split(own.epoch, own.conflict);
  if (own.intent)
    return { action: 'resume-takeover', rule: 'takeover.commit', because: `the intent ${formatEpoch(own.intent)} was never committed` };
  return withoutPeer(evidence, own);
}

type Peer = NonNullable<BootEvidence['peer']>;

/** Row "own record missing": the maximum of element, peer and arbiter. */
function withoutRecord(evidence: BootEvidence, peer: Peer): Verdict {
  const candidates = [
    evidence.elementEpoch,
    peer.record?.epoch,
    peer.elementEpoch,
    typeof evidence.arbiter === 'string' ? null : evidence.arbiter,
  ];
  const highest = highestEpoch(candidates);
  if (highest.number === 0) return wait('boot.norecord', 'neither node knows of an epoch: no element holds data yet');
  const other = candidates.find((epoch) => epoch && compareEpochs(epoch, highest) === 'conflict');
  if (other) return split(highest, other);
  if (peer.record?.intent) return waitForIntent(peer.record.intent);
  return {
    action: 'adopt',
    rule: 'boot.norecord',
    epoch: highest,
    ...(peer.record ? { homes: peer.record.homes } : {}),
    because: `this node has no pair record; the highest epoch of elements, peer and arbiter is ${formatEpoch(highest)}`,
  };
}

function withPeer(evidence: BootEvidence, own: BootRecord, peer: Peer): Verdict {
  const theirs = highestEpoch([peer.record?.epoch, peer.elementEpoch]);
  const order = compareEpochs(own.epoch, theirs);
  if (order === 'lower') return adopt(theirs, `the peer knows ${formatEpoch(theirs)}`, peer.record?.homes);
  if (order === 'conflict') return split(own.epoch, theirs);
  if (own.conflict) return split(own.epoch, own.conflict);
  if (peer.record?.intent) return waitForIntent(peer.record.intent);
  if (own.intent)
    return { action: 'resume-takeover', rule: 'takeover.commit', because: 'the peer is alive, so the intent is to be taken back' };
  const granted = byArbiter(evidence, own, peer);
  if (granted) return granted;
  if (peer.record?.epoch.number !== own.epoch.number) {
    return wait('boot.higher', `the peer has not yet written the higher epoch ${formatEpoch(own.epoch)}`);
  }
  return equalRecords(evidence, own, peer);
}

/** Row "arbiter's epoch above both". A grant that was never committed is handed back while the peer lives (rule `takeover.commit`). */
function byArbiter(evidence: BootEvidence, own: BootRecord, peer: Peer): Verdict | null {
  const { arbiter, node } = evidence;
  if (typeof arbiter === 'string' || arbiter.number <= own.epoch.number) return null;
  if (isReleased(own, arbiter) || (peer.record && isReleased(peer.record, arbiter))) return null;
  if (arbiter.owner !== node)
    return { ...wait('boot.arbiter', `the arbiter granted ${formatEpoch(arbiter)}, which is above both records`), epoch: arbiter };
  return {
    action: 'hand-back',
    rule: 'boot.arbiter',
    because: `${formatEpoch(arbiter)} was granted to this node and never committed; the peer is alive`,
  };
}

function isReleased(record: BootRecord, epoch: Epoch): boolean {
  return record.released !== null && compareEpochs(record.released, epoch) === 'equal';
}

function equalRecords(evidence: BootEvidence, own: BootRecord, peer: Peer): Verdict {
  const { node, peerNode } = evidence;
  if (own.epoch.owner === peerNode)
    return { action: 'passive', rule: 'boot.equal', because: `${peerNode} owns epoch ${formatEpoch(own.epoch)}` };
  if (own.epoch.owner !== node) return wait('boot.conflict', `${own.epoch.owner} owns the service and is neither of the two nodes`);
  if (own.released)
    return { action: 'send-handover', rule: 'handover', because: `${formatEpoch(own.released)} was released and not yet accepted` };
  if (peer.serving) return wait('boot.equal', 'the peer still says that it serves');
  if (evidence.elements !== 'uptodate') return wait('boot.uptodate', 'an element of this node is not uptodate');
  return { action: 'serve', rule: 'boot.equal', because: `both records hold ${formatEpoch(own.epoch)} and this node owns it` };
}

/** Row "peer unreachable". */
function withoutPeer(evidence: BootEvidence, own: BootRecord): Verdict {
  if (!evidence.waited) return wait('watch.start', 'the peer has not answered yet');
  if (own.epoch.owner !== evidence.node) return wait('boot.alone', `${own.epoch.owner} was the last owner and does not answer`);
  if (own.released) return wait('boot.alone', `this node released ${formatEpoch(own.released)} and the taker does not answer`);
  if (evidence.elements === 'unfit') return wait('boot.alone', 'an element of this node is not even consistent');
  if (evidence.arbiter !== 'none' && !evidence.overrides.includes('takeover.arbiter'))
    return aloneByArbiter(evidence, own, evidence.arbiter);
  if (evidence.operator) return serveAlone('an operator says so');
  if (evidence.bootAlone === 'serve') return serveAlone('the policy bootAlone says so');
  return wait('boot.alone', 'the peer does not answer and the policy bootAlone is to wait');
}

/** An arbiter's word counts more than policy and operator, who cannot see what the peer did meanwhile. */
function aloneByArbiter(evidence: BootEvidence, own: BootRecord, arbiter: 'unreachable' | Epoch): Verdict {
  if (arbiter === 'unreachable') return wait('boot.alone', 'neither the peer nor the arbiter answers');
  const mine = arbiter.owner === evidence.node && arbiter.number === own.epoch.number + 1;
  if (arbiter.number > own.epoch.number && !mine) return wait('boot.arbiter', `the arbiter granted ${formatEpoch(arbiter)}`);
  if (compareEpochs(arbiter, own.epoch) === 'conflict') return split(own.epoch, arbiter);
  return serveAlone('this node is the last owner and the arbiter may grant it the next epoch');
}

function serveAlone(because: string): Verdict {
  return { action: 'serve-alone', rule: 'boot.alone', because };
}

function adopt(epoch: Epoch, because: string, homes?: Homes): Verdict {
  return { action: 'adopt', rule: 'boot.higher', epoch, because, ...(homes ? { homes } : {}) };
}

function split(own: Epoch, other: Epoch): Verdict {
  return {
    action: 'split',
    rule: 'boot.conflict',
    epoch: other,
    because: `${formatEpoch(own)} and ${formatEpoch(other)} are one epoch with two owners`,
  };
}

function waitForIntent(intent: Epoch): Verdict {
  return wait('boot.intent', `the peer is taking over with ${formatEpoch(intent)}`);
}

function wait(rule: Rule, because: string): Verdict {
  return { action: 'wait', rule, because };
}

/** The original's four combinations: own mode, then the peer's, such as `normal/fallback`. */
function nameCombination({ own, peer }: BootEvidence): string {
  const name = (record: BootRecord | null | undefined): string => (record ? (modeOf(record.epoch, record.homes) ?? 'unknown') : 'unknown');
  return `${name(own)}/${name(peer?.record)}`;
}
