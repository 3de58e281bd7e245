import { expect } from 'chai';

import { readsLinear } from '../../../../src/testing/simulation/invariants/reads-linear.ts';
import { Story } from './story.ts';

describe('invariant reads-linear', () => {
  it('holds where concurrent reads find the old or the new', () => {
    const story = new Story(readsLinear);
    const write = story.write('alpha', 0, 1);
    story.found('alpha', 0, 0);
    story.found('alpha', 0, 1);
    story.end(write);
    story.found('alpha', 0, 1);
    expect(story.check()).to.equal(null);
  });

  it('catches a read that goes back behind an earlier read, while the write is still under way', () => {
    const story = new Story(readsLinear);
    story.write('alpha', 0, 1);
    story.found('alpha', 0, 1);
    story.found('alpha', 0, 0);
    expect(story.check()).to.match(/^read 3 of m0 at alpha, byte 0: what was there at the beginning and write 1 were found in an order/u);
  });

  it('catches a stale read after the acknowledgement', () => {
    const story = new Story(readsLinear);
    story.wrote('alpha', 0, 1);
    story.wrote('alpha', 0, 2);
    story.found('alpha', 0, 1);
    expect(story.check()).to.match(/write 1 and write 2/u);
  });

  it('catches two values that take turns', () => {
    const story = new Story(readsLinear);
    const [first, second] = [story.write('alpha', 0, 1), story.write('alpha', 0, 2)];
    story.end(first);
    story.end(second);
    story.found('alpha', 0, 1);
    expect(story.check()).to.equal(null);
    story.found('alpha', 0, 2);
    expect(story.check()).to.match(/an order that no single register shows/u);
  });

  it('catches a read that ended before its write was issued', () => {
    const story = new Story(readsLinear);
    const read = story.read('alpha', 0);
    story.end(read, 7);
    story.write('alpha', 0, 7);
    expect(story.check()).to.equal(null, 'content that nobody wrote is for no-lost-write to judge');
    const early = story.read('alpha', 0);
    const late = story.write('alpha', 0, 8);
    story.end(late);
    early.endedAt = late.issuedAt - 1;
    early.bytes.set(late.bytes);
    early.epoch = { number: 1, owner: 'alpha' };
    story.watcher.ended?.(early);
    expect(story.check()).to.match(/read before it was issued/u);
  });

  it('does not judge content that was written twice', () => {
    const story = new Story(readsLinear);
    story.wrote('alpha', 0, 1);
    story.wrote('alpha', 0, 2);
    story.wrote('alpha', 0, 1);
    story.found('alpha', 0, 1);
    expect(story.check()).to.equal(null);
  });

  it('begins anew where every cache was lost', () => {
    const story = new Story(readsLinear, { powerCuts: true });
    story.wrote('alpha', 0, 1);
    story.wrote('alpha', 0, 2);
    story.crash('alpha', 'power');
    story.crash('beta', 'power');
    story.found('alpha', 0, 1);
    expect(story.check()).to.equal(null);
    story.found('alpha', 0, 2);
    story.found('alpha', 0, 1);
    expect(story.check()).to.match(/an order that no single register shows/u);
  });

  it('judges each sector of its own where requests overlap in part', () => {
    const story = new Story(readsLinear);
    const [first, second] = [story.writeAcross('alpha', 0, 3, 1), story.writeAcross('alpha', 1, 3, 2)];
    story.foundAcross('alpha', 0, [0, 2, 1, 0]);
    story.end(first);
    story.foundAcross('alpha', 0, [1, 2, 1, 0]);
    story.end(second);
    expect(story.check()).to.equal(null, 'two at once may end in either order in each sector');
    story.foundAcross('alpha', 0, [1, 2, 2, 2]);
    story.foundAcross('alpha', 2, [1]);
    expect(story.check()).to.match(/byte 1024: write 1 and write 2 were found in an order that no single register shows/u);
  });
});
