import { expect } from 'chai';

import type { ElementState } from '../../src/failover/ports.ts';
import type { TakeoverEvidence } from '../../src/failover/takeover.ts';
import { mayTakeOver } from '../../src/failover/takeover.ts';
import type { Rule } from '../../src/rules.ts';
import { combinations } from './support/combinations.ts';

const mirror = (element: ElementState, findingBytes = 0): TakeoverEvidence['mirrors'][number] => ({ name: 'm0', element, findingBytes });

const space = {
  control: ['auto', 'manual'] as const,
  watch: ['grace', 'normal', 'paused'] as const,
  peer: ['unknown', 'up', 'suspect', 'down', 'left'] as const,
  verdict: [{ rule: 'watch.all' as const, because: 'every link is silent', evidence: {} }],
  mirrors: [
    [mirror('uptodate')],
    [mirror('uptodate', 512)],
    [mirror('uptodate'), mirror('consistent')],
    ...(['outdated', 'inconsistent', 'failed', 'off', 'absent'] as const).map((element) => [mirror(element)]),
  ],
  arbiter: ['none', 'unasked', 'granted', 'refused'] as const,
  fence: ['none', 'unasked', 'granted', 'refused'] as const,
  byOperator: [false, true],
  force: [false, true],
  overrides: [[], ['takeover.arbiter'], ['takeover.fence'], ['takeover.arbiter', 'takeover.fence']] as const,
};

const order: readonly Rule[] = [
  'takeover.auto',
  'takeover.dead',
  'takeover.uptodate',
  'takeover.verified',
  'takeover.arbiter',
  'takeover.fence',
];

describe('mayTakeOver', () => {
  it('holds each rule of semantics 7 over its whole input space', () => {
    for (const evidence of combinations<TakeoverEvidence>(space)) {
      const { allowed, rule, blockedBy } = mayTakeOver(evidence);
      const blocking = new Set(blockedBy.map((block) => block.rule));
      const { byOperator, force, overrides, peer } = evidence;
      const expected = (name: Rule, holds: boolean, lifted: boolean): void => {
        if (blocking.has(name) !== (!holds && !lifted)) expect.fail(`${name}: ${JSON.stringify(evidence)}`);
      };
      expected('takeover.auto', byOperator || (evidence.control === 'auto' && evidence.watch !== 'paused'), force);
      expected('takeover.dead', peer === 'down' || (peer === 'left' && byOperator), force);
      expected(
        'takeover.uptodate',
        evidence.mirrors.every(({ element }) => element === 'uptodate'),
        force,
      );
      expected(
        'takeover.verified',
        evidence.mirrors.every(({ findingBytes }) => findingBytes === 0),
        force,
      );
      expected('takeover.arbiter', evidence.arbiter !== 'refused', overrides.includes('takeover.arbiter'));
      expected('takeover.fence', evidence.fence !== 'refused', overrides.includes('takeover.fence'));
      expect(allowed).to.equal(blocking.size === 0);
      expect(rule).to.equal(order.find((name) => blocking.has(name)) ?? 'takeover.commit');
      expect(blockedBy.map((block) => block.rule)).to.deep.equal(order.filter((name) => blocking.has(name)));
    }
  }).timeout(20_000);
});
