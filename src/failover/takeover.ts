import type { Rule } from '../rules.ts';
import type { Control } from './pair-record.ts';
import type { ElementState, MonitorPort, PeerState } from './ports.ts';

/** How far a question got that is asked during a takeover only. */
export type Asked = 'unasked' | 'granted' | 'refused';

/** What the rules of a takeover look at. Plain data. */
export interface TakeoverEvidence {
  readonly control: Control;
  readonly watch: ReturnType<MonitorPort['watchState']>;
  readonly peer: PeerState;
  readonly verdict: ReturnType<MonitorPort['verdict']>;
  readonly mirrors: readonly { readonly name: string; readonly element: ElementState; readonly findingBytes: number }[];
  /** `none`: there is no arbiter. `unasked`: it will be asked after the intent. */
  readonly arbiter: 'none' | Asked;
  /** `none`: there is no fence. `unasked`: it will be run after the arbiter. */
  readonly fence: 'none' | Asked;
  /** An operator asked for it, so it need not be automatic. */
  readonly byOperator: boolean;
  /** The operator accepts what may be lost. */
  readonly force: boolean;
  /** Rules that the operator lifts by name. */
  readonly overrides: readonly Rule[];
}

/** A rule that blocks, and what it saw. */
export interface Block {
  readonly rule: Rule;
  readonly because: string;
}

/** The answer of {@link mayTakeOver}: every rule that blocks, in the order of semantics 7. */
export interface TakeoverDecision {
  readonly allowed: boolean;
  /** The first rule that blocks, else `takeover.commit`. */
  readonly rule: Rule;
  readonly because: string;
  readonly blockedBy: readonly Block[];
  readonly evidence: TakeoverEvidence;
}

/** Rules that an operator's `force` lifts. The others need their own words. */
const liftedByForce: readonly Rule[] = ['takeover.auto', 'takeover.dead', 'takeover.uptodate', 'takeover.verified'];

/**
 * The rules of semantics 7, each looked at even after one has blocked, so that the operator sees all of them at once.
 * What is `unasked` blocks nothing: the function is asked before the intent, and again before the commit, when everything has been asked.
 */
export function mayTakeOver(evidence: TakeoverEvidence): TakeoverDecision {
  const lifted = (rule: Rule): boolean => evidence.overrides.includes(rule) || (evidence.force && liftedByForce.includes(rule));
  const blockedBy = checks.flatMap(([rule, check]) => {
    const because = check(evidence);
    return because === null || lifted(rule) ? [] : [{ rule, because }];
  });
  const [first] = blockedBy;
  return {
    allowed: !first,
    rule: first?.rule ?? 'takeover.commit',
    because: first?.because ?? 'no rule of a takeover blocks',
    blockedBy,
    evidence,
  };
}

/** Each gives why it blocks, or null. */
const checks: readonly (readonly [Rule, (evidence: TakeoverEvidence) => string | null])[] = [
  ['takeover.auto', notAutomatic],
  ['takeover.dead', notDead],
  ['takeover.uptodate', notUptodate],
  ['takeover.verified', notVerified],
  ['takeover.arbiter', ({ arbiter }) => (arbiter === 'refused' ? 'the arbiter did not grant the next epoch' : null)],
  ['takeover.fence', ({ fence }) => (fence === 'refused' ? 'the fence did not succeed' : null)],
];

function notAutomatic({ control, watch, byOperator }: TakeoverEvidence): string | null {
  if (byOperator) return null;
  if (control === 'manual') return 'control is manual';
  return watch === 'paused' ? 'the monitor is paused' : null;
}

/** A peer that said goodbye is known to have stopped, but only an operator may draw the conclusion (rule `node.leave`). */
function notDead({ peer, verdict, byOperator }: TakeoverEvidence): string | null {
  if (peer === 'down' || (peer === 'left' && byOperator)) return null;
  if (peer === 'left') return 'the peer was stopped cleanly';
  return `there is no verdict that the peer is down: it is ${peer} (${verdict.because})`;
}

function notUptodate({ mirrors }: TakeoverEvidence): string | null {
  const unfit = mirrors.filter(({ element }) => element !== 'uptodate').map(({ name, element }) => `${name} is ${element}`);
  return unfit.length === 0 ? null : unfit.join(', ');
}

function notVerified({ mirrors }: TakeoverEvidence): string | null {
  const found = mirrors
    .filter(({ findingBytes }) => findingBytes > 0)
    .map(({ name, findingBytes }) => `${name}: ${String(findingBytes)} bytes differ`);
  return found.length === 0 ? null : found.join(', ');
}
