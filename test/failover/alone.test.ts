import { expect } from 'chai';

import type { AloneDecision, AloneEvidence } from '../../src/failover/alone.ts';
import { mayGoAlone, reconnectPart } from '../../src/failover/alone.ts';
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
  ownElement: [true, false],
  peerBehind: [false, true],
  peer: ['unknown', 'up', 'suspect', 'down', 'left'] as const,
  reachable: [false, true],
  silence: [silence(false), silence(true)],
  handshaking: [false, true],
  reconnectFromMs: [0],
  nowMs: [100, 500, 5_000],
  mayBeTakenOver: [false, true],
  whenAlone: ['continue', 'freeze', 'arbiter'] as const,
  fence: [false, true],
  arbiter: [false, true],
  bootAlone: ['wait', 'serve'] as const,
  operator: [false, true],
  overrides: [[], ['takeover.arbiter'], ['takeover.fence']] as const,
};

describe('mayGoAlone', () => {
  it('goes alone only with an element of its own, when the peer is durably behind, or by the policy when no link answers, over its whole input space', () => {
    for (const evidence of combinations<AloneEvidence>(space)) {
      const { action, rule, retryAtMs } = mayGoAlone(evidence);
      if (!evidence.ownElement) {
        expect({ action, rule, retryAtMs }, JSON.stringify(evidence)).to.deep.equal({
          action: 'wait',
          rule: 'write.error',
          retryAtMs: null,
        });
        continue;
      }
      const { peerBehind, reachable, whenAlone, operator, overrides } = evidence;
      const settled = peerBehind;
      const mayKnow = !evidence.mayBeTakenOver || evidence.bootAlone === 'serve' || operator;
      const bySilence = whenAlone === 'continue' && evidence.silence.silent && mayKnow;
      const fenceNeeded = evidence.fence && !(operator && overrides.some((rule) => rule === 'takeover.fence'));
      const withoutArbiter = overrides.some((rule) => rule === 'takeover.arbiter');
      const byOperator = operator && (whenAlone === 'freeze' || (whenAlone === 'arbiter' && withoutArbiter));
      const grantNeeded = evidence.arbiter && !evidence.fence && !(operator && withoutArbiter);
      const unguarded = bySilence && !fenceNeeded && !grantNeeded;
      expect(action === 'go', JSON.stringify(evidence)).to.equal(settled || (!reachable && (unguarded || byOperator)));
      expect(action === 'fence', JSON.stringify(evidence)).to.equal(!settled && !reachable && bySilence && fenceNeeded);
      const reconnecting = evidence.nowMs < evidence.silence.deadlineMs * (evidence.handshaking ? 1 : reconnectPart);
      expect(action === 'outdate', JSON.stringify(evidence)).to.equal(!settled && reachable && !reconnecting);
      const asks = (whenAlone === 'arbiter' && !byOperator) || (bySilence && !fenceNeeded && grantNeeded);
      expect(action === 'ask-arbiter', JSON.stringify(evidence)).to.equal(!settled && !reachable && asks);
      expect(retryAtMs !== null).to.equal(rule === 'serve.fresh');
    }
  });

  it('gives a lost data link a moment to come back while the peer answers, so that not every loss costs an epoch', () => {
    const evidence = {
      mirror: 'm0',
      ownElement: true,
      peerBehind: false,
      peer: 'up',
      reachable: true,
      silence: silence(false),
      mayBeTakenOver: false,
      handshaking: false,
      fence: false,
      arbiter: false,
      whenAlone: 'continue',
      bootAlone: 'wait',
    } as const;
    const at = (nowMs: number): AloneDecision => mayGoAlone({ ...evidence, reconnectFromMs: 500, nowMs, operator: false, overrides: [] });
    expect(at(749)).to.include({ action: 'wait', rule: 'serve.fresh', retryAtMs: 750 });
    expect(at(750)).to.include({ action: 'outdate', rule: 'outdate' });
    // An order to be outdated would end the handshake that goes on.
    const agreeing = (nowMs: number): AloneDecision =>
      mayGoAlone({ ...evidence, handshaking: true, reconnectFromMs: 500, nowMs, operator: false, overrides: [] });
    expect(agreeing(1_499)).to.include({ action: 'wait', rule: 'serve.fresh', retryAtMs: 1_500 });
    expect(agreeing(1_500)).to.include({ action: 'outdate', rule: 'outdate' });
  });

  it('serve.fresh: the loss of the data link permits nothing by itself', () => {
    const evidence = {
      mirror: 'm0',
      ownElement: true,
      peerBehind: false,
      peer: 'suspect',
      reachable: false,
      silence: silence(false),
      reconnectFromMs: 0,
      nowMs: 100,
      mayBeTakenOver: false,
      handshaking: false,
      fence: false,
      arbiter: false,
      bootAlone: 'wait',
      operator: false,
      overrides: [],
    } as const;
    for (const whenAlone of ['continue', 'freeze', 'arbiter'] as const)
      expect(mayGoAlone({ ...evidence, whenAlone }).action).to.not.equal('go');
  });

  it('element.start: after a long pause silence says nothing, for the peer may have taken over and died since', () => {
    const evidence = {
      mirror: 'm0',
      ownElement: true,
      peerBehind: false,
      peer: 'down',
      reachable: false,
      silence: silence(true),
      reconnectFromMs: 0,
      nowMs: 5_000,
      mayBeTakenOver: true,
      handshaking: false,
      fence: false,
      arbiter: false,
      whenAlone: 'continue',
      bootAlone: 'wait',
      operator: false,
      overrides: [],
    } as const;
    expect(mayGoAlone(evidence)).to.include({ action: 'wait', rule: 'element.start' });
    expect(mayGoAlone({ ...evidence, mayBeTakenOver: false })).to.include({ action: 'go', rule: 'alone' });
    expect(mayGoAlone({ ...evidence, bootAlone: 'serve' })).to.include({ action: 'go', rule: 'alone' });
    expect(mayGoAlone({ ...evidence, operator: true })).to.include({ action: 'go', rule: 'alone' });
    expect(mayGoAlone({ ...evidence, peerBehind: true })).to.include({ action: 'go', rule: 'alone' });
  });
});
