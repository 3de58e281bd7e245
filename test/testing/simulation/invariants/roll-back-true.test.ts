import { expect } from 'chai';

import type { ElementMetadata } from '../../../../src/mirror/metadata.ts';
import { rollBackTrue } from '../../../../src/testing/simulation/invariants/roll-back-true.ts';
import { mirror, sizeBytes, Story } from './story.ts';

/** A resync to beta begins that keeps an undo journal of this name. */
function begins(story: Story, id: string): void {
  story.beta.side.known = { undo: { id }, sizeBytes } as ElementMetadata;
  story.check();
}

describe('invariant roll-back-true', () => {
  it('holds where an element is again what it was when the resync began', () => {
    const story = new Story(rollBackTrue);
    story.put('beta', 0, 1);
    begins(story, 'first');
    story.put('beta', 0, 2);
    story.check();
    story.put('beta', 0, 1);
    story.tell('beta', 'element:rolled-back', { mirror });
    expect(story.check()).to.equal(null);
  });

  it('catches one byte of the resync that stays', () => {
    const story = new Story(rollBackTrue);
    begins(story, 'first');
    story.put('beta', 3, 2);
    story.tell('beta', 'element:rolled-back', { mirror });
    expect(story.check()).to.match(/^the element of m0 at beta was rolled back, and byte 153\d is not what it was before the resync$/u);
  });

  it('compares with the last resync, not with one before', () => {
    const story = new Story(rollBackTrue);
    begins(story, 'first');
    story.put('beta', 0, 1);
    begins(story, 'second');
    story.put('beta', 0, 2);
    story.put('beta', 0, 1);
    story.tell('beta', 'element:rolled-back', { mirror });
    expect(story.check()).to.equal(null);
  });

  it('catches a rollback by a journal that never was in force', () => {
    const story = new Story(rollBackTrue);
    story.tell('beta', 'element:rolled-back', { mirror });
    expect(story.check()).to.match(/by a journal that nobody saw begin$/u);
  });
});
