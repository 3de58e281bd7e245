import { expect } from 'chai';

import { targetPossible } from '../../../../src/testing/simulation/invariants/target-possible.ts';
import { Story } from './story.ts';

describe('invariant target-possible', () => {
  it('holds where the target takes writes in an order that the source could have had', () => {
    const story = new Story(targetPossible);
    story.wrote('alpha', 0, 1);
    expect(story.check()).to.equal(null);
    const [first, second] = [story.write('alpha', 0, 2), story.write('alpha', 1, 3)];
    story.put('beta', 1, 3);
    expect(story.check()).to.equal(null, 'neither was acknowledged before the other was issued');
    story.put('beta', 0, 2);
    story.end(first);
    story.end(second);
    expect(story.check()).to.equal(null);
  });

  it('catches a target that holds a write and lacks one acknowledged before that was issued', () => {
    const story = new Story(targetPossible);
    story.end(story.write('alpha', 0, 1));
    expect(story.check()).to.equal(null);
    story.write('alpha', 1, 2);
    story.put('beta', 1, 2);
    expect(story.check()).to.match(/the element of m0 at beta is in a state that its source never had: byte 0 lacks write 1/u);
  });

  it('catches an older write that comes back over a newer', () => {
    const story = new Story(targetPossible);
    story.wrote('alpha', 0, 1);
    story.wrote('alpha', 0, 2);
    story.wrote('alpha', 1, 3);
    expect(story.check()).to.equal(null);
    story.put('beta', 0, 1);
    expect(story.check()).to.match(/byte 0 lacks write 2/u);
  });

  it('judges nothing while a resync runs towards it, and everything once it counts as complete', () => {
    const story = new Story(targetPossible);
    story.state('beta', { element: 'inconsistent' });
    story.end(story.write('alpha', 0, 1));
    story.end(story.write('alpha', 1, 2));
    story.put('beta', 1, 2);
    expect(story.check()).to.equal(null);
    story.state('beta', { element: 'uptodate' });
    expect(story.check()).to.match(/byte 0 lacks write 1/u);
  });

  it('asks nothing of an element that is behind as a whole', () => {
    const story = new Story(targetPossible);
    story.wrote('alpha', 0, 1);
    story.crash('beta', 'process');
    story.state('alpha', { serving: 'alone' });
    story.end(story.write('alpha', 0, 2));
    story.end(story.write('alpha', 1, 3));
    story.boot('beta');
    expect(story.check()).to.equal(null);
  });

  it('forgives an element its own power cut until it is regenerated', () => {
    const story = new Story(targetPossible, { powerCuts: true });
    story.wrote('alpha', 0, 1);
    story.wrote('alpha', 1, 2);
    story.crash('beta', 'power');
    story.put('beta', 0, 0);
    story.boot('beta');
    expect(story.check()).to.equal(null);
    story.state('beta', { role: 'target', element: 'uptodate' });
    expect(story.check()).to.match(/byte 0 lacks write 1/u);
  });

  it('does not blame a node for what it wrote itself while it thought that it served', () => {
    const story = new Story(targetPossible);
    story.crash('alpha', 'process');
    story.end(story.write('beta', 0, 1));
    story.write('alpha', 1, 2);
    story.put('alpha', 1, 2);
    story.boot('alpha');
    expect(story.check()).to.equal(null);
  });

  it('keeps what it needs of a long run', () => {
    const story = new Story(targetPossible);
    story.end(story.write('alpha', 7, 1));
    for (let value = 2; value < 6_000; value += 1) story.end(story.write('alpha', value % 4, value));
    story.write('alpha', 5, 6_000);
    story.put('beta', 5, 6_000);
    expect(story.check()).to.match(/byte 3584 lacks write 1/u);
  });

  it('judges each sector of its own where writes overlap in part', () => {
    const story = new Story(targetPossible);
    const first = story.writeAcross('alpha', 0, 3, 1);
    story.put('beta', 0, 1);
    expect(story.check()).to.equal(null, 'a write under way may be there in part');
    story.put('beta', 1, 1);
    story.put('beta', 2, 1);
    story.end(first);
    story.writeAcross('alpha', 2, 3, 2);
    story.put('beta', 3, 2);
    expect(story.check()).to.equal(null);
    story.put('beta', 1, 0);
    expect(story.check()).to.match(/byte 512 lacks write 1/u);
  });
});
