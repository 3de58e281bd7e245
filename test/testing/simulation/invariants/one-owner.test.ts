import { expect } from 'chai';

import { oneOwner } from '../../../../src/testing/simulation/invariants/one-owner.ts';
import { Story } from './story.ts';

const epoch = (number: number, owner: string): { readonly number: number; readonly owner: string } => ({ number, owner });

describe('invariant one-owner', () => {
  it('holds where ownership moves by higher epochs', () => {
    const story = new Story(oneOwner);
    story.end(story.write('alpha', 0, 1), undefined, epoch(1, 'alpha'));
    story.end(story.write('beta', 0, 2), undefined, epoch(2, 'beta'));
    story.end(story.read('beta', 0), 2, epoch(2, 'beta'));
    story.fail(story.read('alpha', 0), 'HM_STALE_EPOCH');
    expect(story.check()).to.equal(null);
  });

  it('catches an answer in an epoch of the other node, whatever the policy', () => {
    const story = new Story(oneOwner, { oneOwner: false });
    story.end(story.write('alpha', 0, 1), undefined, epoch(2, 'beta'));
    expect(story.check()).to.match(/write 1 of m0 was answered by alpha in epoch 2\/beta, which it does not own/u);
  });

  it('catches an answer of an earlier owner after one of a later', () => {
    const story = new Story(oneOwner);
    story.end(story.write('beta', 0, 1), undefined, epoch(2, 'beta'));
    story.end(story.read('alpha', 1), 0, epoch(1, 'alpha'));
    expect(story.check()).to.match(/after 2\/beta had answered: two owners/u);
  });

  it('catches two owners of one number', () => {
    const story = new Story(oneOwner);
    story.end(story.write('beta', 0, 1), undefined, epoch(2, 'beta'));
    story.end(story.write('alpha', 1, 1), undefined, epoch(2, 'alpha'));
    expect(story.check()).to.match(/two owners/u);
  });

  it('binds only where the policy promises it, and no operator took it upon himself', () => {
    for (const forced of [false, true]) {
      const story = new Story(oneOwner, { oneOwner: forced });
      if (forced) story.tell('alpha', 'operator:asked', { evidence: { order: 'resume' } });
      story.end(story.write('beta', 0, 1), undefined, epoch(2, 'beta'));
      story.end(story.write('alpha', 1, 1), undefined, epoch(2, 'alpha'));
      expect(story.check()).to.equal(null);
    }
  });

  it('catches a node that goes back to an epoch of its own', () => {
    const story = new Story(oneOwner, { oneOwner: false });
    story.end(story.write('alpha', 0, 1), undefined, epoch(3, 'alpha'));
    story.end(story.write('alpha', 0, 2), undefined, epoch(1, 'alpha'));
    expect(story.check()).to.match(/after it had answered in epoch 3/u);
  });

  it('catches an answer of a process that stands still', () => {
    const story = new Story(oneOwner);
    const read = story.read('alpha', 0);
    expect(story.check()).to.equal(null);
    story.tell('alpha', 'node:state', { evidence: { state: 'paused' } });
    story.fail(read, 'HM_CLOSED');
    expect(story.check()).to.match(/read 1 of m0 was answered by alpha while it stood still/u);
  });

  it('holds an answer against nobody who stood still before or after it, be it at the same moment', () => {
    const story = new Story(oneOwner);
    story.tell('alpha', 'node:state', { evidence: { state: 'paused' } });
    story.tell('alpha', 'node:state', { evidence: { state: 'serving' } });
    story.fail(story.read('alpha', 0), 'HM_CLOSED');
    story.tell('alpha', 'node:state', { evidence: { state: 'paused' } });
    story.alpha.paused = true;
    expect(story.check()).to.equal(null);
  });
});
