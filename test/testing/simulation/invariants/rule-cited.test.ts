import { expect } from 'chai';

import type { Rule } from '../../../../src/rules.ts';
import { ruleCited } from '../../../../src/testing/simulation/invariants/rule-cited.ts';
import { Story } from './story.ts';

const decisions = [
  'takeover:decided',
  'takeover:blocked',
  'takeover:aborted',
  'alone:decided',
  'boot:decided',
  'lineage:decided',
  'epoch:refused',
  'split:detected',
];

describe('invariant rule-cited', () => {
  it('holds where decisions cite rules, and asks nothing of other events', () => {
    const story = new Story(ruleCited);
    for (const event of decisions) story.tell('beta', event, { rule: 'takeover.commit' });
    story.tell('beta', 'link:connected');
    story.tell('beta', 'operator:answered', { evidence: { order: 'recover', code: null } });
    story.tell('beta', 'operator:answered', { rule: 'recover.ready', evidence: { order: 'recover', code: 'HM_REFUSED' } });
    expect(story.check()).to.equal(null);
  });

  for (const event of decisions)
    it(`catches ${event} without a rule`, () => {
      const story = new Story(ruleCited);
      story.tell('beta', event);
      expect(story.check()).to.equal(`${event} of beta cites no rule: a test`);
    });

  it('catches a rule that does not exist', () => {
    const story = new Story(ruleCited);
    story.tell('beta', 'boot:decided', { rule: 'boot.somehow' });
    expect(story.check()).to.match(/cites boot\.somehow/u);
  });

  it('catches a refusal of an order that says no rule', () => {
    const story = new Story(ruleCited);
    story.tell('alpha', 'operator:answered', { evidence: { order: 'recover', code: 'HM_REFUSED' } });
    expect(story.check()).to.match(/operator:answered of alpha cites no rule/u);
  });

  it('catches a node that is blocked by what is no rule', () => {
    const story = new Story(ruleCited);
    story.beta.failover = { ...story.beta.failover, blockedBy: [{ rule: 'takeover.mood' as Rule, because: 'not today' }] };
    expect(story.check()).to.equal(null);
    story.tell('beta', 'takeover:blocked', { rule: 'takeover.dead' });
    expect(story.check()).to.match(/beta is blocked by takeover\.mood, which is no rule: not today/u);
  });
});
