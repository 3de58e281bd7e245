import type { Rule } from '../rules.ts';
import type { PeerState, SilenceEvidence } from './ports.ts';

/** What decides when no link answers. */
export type WhenAlone = 'continue' | 'freeze' | 'arbiter';

/** The part of the deadline that a lost data link is given to come back while the peer answers on another link; the whole while a handshake goes on. */
export const reconnectPart = 0.25;

/** What the rule `alone` looks at for one mirror of a serving node that lost its data link. Plain data. */
export interface AloneEvidence {
  readonly mirror: string;
  /** This node's element can be served from; otherwise it serves through the peer's, and has nothing to be alone with. */
  readonly ownElement: boolean;
  /** The peer's element is durably known to be old. */
  readonly peerBehind: boolean;
  readonly peer: PeerState;
  /** Any monitor link is up. */
  readonly reachable: boolean;
  readonly silence: SilenceEvidence;
  /**
   * The peer may have taken over: this node stood still for so long, and no token that it sent since was answered without an intent to; or such an intent was
   * the last that it heard.
   */
  readonly mayBeTakenOver: boolean;
  /** The data link has a connection again, on which both nodes agree who copies what. */
  readonly handshaking: boolean;
  /** The later of the loss of the data link and the first answer since on a monitor link; and now, by the own clock. */
  readonly reconnectFromMs: number;
  readonly nowMs: number;
  readonly whenAlone: WhenAlone;
  /** There is a fence. */
  readonly fence: boolean;
  /** There is an arbiter. */
  readonly arbiter: boolean;
  /** Whether a node that cannot know what its peer did meanwhile serves all the same. */
  readonly bootAlone: 'wait' | 'serve';
  /** An operator lets this node go on. */
  readonly operator: boolean;
  /** Rules that the operator lifts by name. */
  readonly overrides: readonly Rule[];
}

/** What a serving node that lost a data link is to do. */
export type AloneAction =
  /** Go on alone. */
  | 'go'
  /** Make the peer record that its element is old, then ask again. */
  | 'outdate'
  /** Go on alone if the arbiter grants the raised epoch. */
  | 'ask-arbiter'
  /** Go on alone once the fence has succeeded. */
  | 'fence'
  | 'wait';

/** The answer of {@link mayGoAlone}. */
export interface AloneDecision {
  readonly action: AloneAction;
  readonly rule: Rule;
  readonly because: string;
  /** For `wait`: when it is worth asking again, by the own clock. Null: not before something changes. */
  readonly retryAtMs: number | null;
  readonly evidence: AloneEvidence;
}

/** The rule `alone` (semantics 5). The loss of the data link permits nothing by itself (rule `serve.fresh`). */
export function mayGoAlone(evidence: AloneEvidence): AloneDecision {
  return { retryAtMs: null, ...decide(evidence), evidence };
}

type Verdict = Pick<AloneDecision, 'action' | 'rule' | 'because'> & Partial<Pick<AloneDecision, 'retryAtMs'>>;

function decide(evidence: AloneEvidence): Verdict {
  if (!evidence.ownElement)
    return {
      action: 'wait',
      rule: 'write.error',
      because: "this node's element has failed: without the peer there is nothing to go on with",
    };
  if (evidence.peerBehind) return { action: 'go', rule: 'alone', because: "the peer's element is durably known to be old" };
  if (evidence.reachable) return onAnswer(evidence);
  switch (evidence.whenAlone) {
    case 'continue':
      return evidence.mayBeTakenOver && evidence.bootAlone === 'wait' && !evidence.operator ? afterTakeover : onSilence(evidence);
    case 'freeze':
      if (evidence.operator) return { action: 'go', rule: 'alone', because: 'an operator lets this node go on' };
      return { action: 'wait', rule: 'alone', because: 'the policy whenAlone is to freeze until the peer is back or an operator resumes' };
    case 'arbiter':
      if (evidence.operator && evidence.overrides.includes('takeover.arbiter')) {
        return { action: 'go', rule: 'alone', because: 'an operator lets this node go on without the arbiter' };
      }
      return { action: 'ask-arbiter', rule: 'arbiter.cas', because: 'no link answers: the arbiter decides' };
  }
}

/** To the peer a long pause looks like a crash: it may have taken over, or said that it is about to, and died since. So this is no other case than a start without it. */
const afterTakeover: Verdict = {
  action: 'wait',
  rule: 'element.start',
  because: 'the peer may have taken over since it was last heard, and the policy bootAlone is to wait for it',
};

/** A connection that broke is often back at once, and roles change by a new one: not every loss is worth an epoch. */
function onAnswer({ reconnectFromMs, nowMs, silence, handshaking }: AloneEvidence): Verdict {
  // An order to be outdated ends the handshake at the peer: where links are slow, the next one would meet with the next order, for ever.
  const earliestMs = reconnectFromMs + silence.deadlineMs * (handshaking ? 1 : reconnectPart);
  if (nowMs < earliestMs) {
    return {
      action: 'wait',
      rule: 'serve.fresh',
      because: 'a monitor link answers, and the data link may be back in a moment',
      retryAtMs: earliestMs,
    };
  }
  return { action: 'outdate', rule: 'outdate', because: 'a monitor link answers, so the peer must record that it is old' };
}

function onSilence({ silence, fence, arbiter, operator, overrides }: AloneEvidence): Verdict {
  if (!silence.silent)
    return {
      action: 'wait',
      rule: 'serve.fresh',
      because: 'the links have not been silent for a full deadline yet',
      retryAtMs: silence.earliestMs,
    };
  const because = `every link was silent for a full deadline of ${String(silence.deadlineMs)} ms`;
  // The peer may be about to fence this node and take over: what this node completed alone until then would be lost.
  if (fence && !(operator && overrides.includes('takeover.fence'))) return { action: 'fence', rule: 'takeover.fence', because };
  // The peer may have asked the arbiter already, and been granted the epoch in which it serves.
  if (arbiter && !fence && !(operator && overrides.includes('takeover.arbiter')))
    return { action: 'ask-arbiter', rule: 'arbiter.cas', because: `${because}: the arbiter decides` };
  return { action: 'go', rule: 'alone', because };
}
