import type { Epoch } from '../epoch.ts';
import { compareEpochs, formatEpoch } from '../epoch.ts';
import type { Rule } from '../rules.ts';
import type { PairRecord } from './pair-record.ts';
import type { MirrorView } from './ports.ts';
import type { PeerReport } from './peer-report.ts';
import type { Block } from './takeover.ts';

/** What the giver sends once its release is durable. Sending it again changes nothing. */
export interface HandoverOffer {
  /** The released epoch; its owner is the taker. */
  readonly epoch: Epoch;
  /** The epoch that ends with it. */
  readonly from: Epoch;
  /** The giver will not wait longer: what cannot be accepted now is to be refused durably. */
  readonly final: boolean;
  /** An operator accepts what may be lost. */
  readonly force: boolean;
}

/** What a taker knows when an offer comes. */
export interface TakerEvidence {
  readonly node: string;
  readonly record: PairRecord;
  readonly mirrors: readonly Pick<MirrorView, 'name' | 'element'>[];
  /** It is being stopped. */
  readonly leaving: boolean;
  /** What the arbiter granted this node earlier, and gets back. */
  readonly handingBack: Epoch | null;
}

/** The taker's answer. `refuse` is to be made durable before it is sent; `later` promises nothing. */
export interface OfferDecision {
  readonly answer: 'accept' | 'accepted-before' | 'refuse' | 'later';
  readonly because: string;
}

/** The taker's side of rule `handover`, as a pure function. */
export function judgeOffer(offer: HandoverOffer, evidence: TakerEvidence): OfferDecision {
  const { node, record } = evidence;
  if (compareEpochs(record.epoch, offer.epoch) === 'equal') return { answer: 'accepted-before', because: 'it was accepted before' };
  if (offer.epoch.owner !== node) return { answer: 'later', because: `it is for ${offer.epoch.owner}` };
  if (record.refused >= offer.epoch.number) return { answer: 'refuse', because: 'it was refused before' };
  if (record.epoch.number >= offer.epoch.number) return { answer: 'refuse', because: `this node knows ${formatEpoch(record.epoch)}` };
  if (compareEpochs(record.epoch, offer.from) === 'conflict' || record.conflict) return { answer: 'later', because: 'the pair is split' };
  if (evidence.handingBack?.number === offer.epoch.number)
    return { answer: 'later', because: `an earlier grant of ${formatEpoch(offer.epoch)} is being given back` };
  const obstacle = obstacleOf(offer, evidence);
  if (obstacle === null) return { answer: 'accept', because: `${formatEpoch(offer.from)} was released` };
  return { answer: offer.final ? 'refuse' : 'later', because: obstacle };
}

function obstacleOf(offer: HandoverOffer, { record, mirrors, leaving }: TakerEvidence): string | null {
  if (leaving) return 'this node is being stopped';
  if (record.intent) return 'a takeover of this node is under way';
  const unfit = mirrors.filter(({ element }) => !mayServeFrom(element, offer.force));
  return unfit.length === 0 ? null : unfit.map(({ name, element }) => `${name} is ${element}`).join(', ');
}

/** Whether an element can be served from; `force` accepts a complete but older image. */
export function mayServeFrom(element: MirrorView['element'], force: boolean): boolean {
  return element === 'uptodate' || (force && (element === 'consistent' || element === 'outdated'));
}

/** What the giver's side looks at. */
export interface GiverEvidence {
  /** `handover`, or `recover.ready` for a recovery. */
  readonly rule: Rule;
  /** What the peer says; null while it does not answer. */
  readonly peer: Pick<PeerReport, 'leaving' | 'mirrors'> | null;
  readonly serving: boolean;
  readonly mirrors: readonly Pick<MirrorView, 'name' | 'connection' | 'peerElement' | 'resync'>[];
  readonly force: boolean;
}

/** Why a hand-over cannot begin; empty: it can. */
export function handoverObstacles(evidence: GiverEvidence): readonly Block[] {
  const { rule, peer, serving, mirrors, force } = evidence;
  const block = (because: string): Block => ({ rule, because });
  if (!peer) return [block('the other node does not answer')];
  if (peer.leaving) return [block('the other node is being stopped')];
  if (!serving) {
    // Nobody writes, so what the taker's elements are is all that counts.
    const unfit = peer.mirrors.filter(({ element }) => !mayServeFrom(element, force));
    return unfit.map(({ name, element }) => block(`${name} is ${element} on the other node`));
  }
  return mirrors.flatMap(({ name, connection, peerElement, resync }) => {
    if (connection !== 'connected') return [block(`the data link of ${name} is ${connection}`)];
    if (resync) return [block(`${name} is still being regenerated`)];
    return peerElement === 'uptodate' ? [] : [block(`${name} is ${peerElement} on the other node`)];
  });
}

/** Obstacles that no regeneration removes: waiting would be in vain. */
export function isHopeless(mirror: Pick<MirrorView, 'connection' | 'peerElement'>): boolean {
  return ['unrelated', 'split-brain'].includes(mirror.connection) || ['failed', 'off'].includes(mirror.peerElement);
}
