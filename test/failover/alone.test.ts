import { expect } from 'chai';

import type { AloneEvidence } from '../../src/failover/alone.ts';
import { mayGoAlone } from '../../src/failover/alone.ts';
import { combinations } from './support/combinations.ts';

const silence = (silent: boolean): AloneEvidence['silence'] => ({
  silent,
  countedFromMs: 0,
  lastHeardMs: 0,
  deadlineMs: 1_000,
  earliestMs: 1_000,
});

const space = {
  mirror: ['m0'],
  peerBehind: [false, true],
  peer: ['unknown', 'up', 'suspect', 'down', 'left'] as const,
  reachable: [false, true],
  silence: [silence(false), silence(true)],
  whenAlone: ['continue', 'freeze', 'arbiter'] as const,
  operator: [false, true],
  overrides: [[], ['takeover.arbiter']] as const,
};

describe('mayGoAlone', () => {
  it('goes alone only when the peer is durably behind, left, or by the policy when no link answers, over its whole input space', () => {
    for (const evidence of combinations<AloneEvidence>(space)) {
      const { action, rule, retryAtMs } = mayGoAlone(evidence);
      const { peerBehind, peer, reachable, whenAlone, operator, overrides } = evidence;
      const settled = peerBehind || peer === 'left';
      const bySilence = whenAlone === 'continue' && evidence.silence.silent;
      const byOperator = operator && (whenAlone === 'freeze' || (whenAlone === 'arbiter' && overrides.length > 0));
      expect(action === 'go', JSON.stringify(evidence)).to.equal(settled || (!reachable && (bySilence || byOperator)));
      expect(action === 'outdate', JSON.stringify(evidence)).to.equal(!settled && reachable);
      expect(action === 'ask-arbiter', JSON.stringify(evidence)).to.equal(!settled && !reachable && whenAlone === 'arbiter' && !byOperator);
      expect(retryAtMs !== null).to.equal(rule === 'serve.fresh');
    }
  });

  it('serve.fresh: the loss of the data link permits nothing by itself', () => {
    const evidence = {
      mirror: 'm0',
      peerBehind: false,
      peer: 'suspect',
      reachable: false,
      silence: silence(false),
      operator: false,
      overrides: [],
    } as const;
    for (const whenAlone of ['continue', 'freeze', 'arbiter'] as const)
      expect(mayGoAlone({ ...evidence, whenAlone }).action).to.not.equal('go');
  });
});
