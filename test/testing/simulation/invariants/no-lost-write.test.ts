import { expect } from 'chai';

import { noLostWrite } from '../../../../src/testing/simulation/invariants/no-lost-write.ts';
import { Story } from './story.ts';

describe('invariant no-lost-write', () => {
  it('holds where every read finds the last acknowledged write', () => {
    const story = new Story(noLostWrite);
    story.found('alpha', 3, 0);
    story.wrote('alpha', 3, 1);
    story.found('alpha', 3, 1);
    story.wrote('alpha', 3, 2);
    story.found('beta', 3, 2);
    expect(story.check()).to.equal(null);
    expect(story.conclude()).to.equal(null);
  });

  it('catches a read of what an acknowledged write replaced', () => {
    const story = new Story(noLostWrite);
    story.wrote('alpha', 3, 1);
    story.wrote('alpha', 3, 2);
    story.found('alpha', 3, 1);
    expect(story.check()).to.match(/^read 3 of m0 at alpha: lost: byte 1536 holds write 1, but write 2 was acknowledged or read before$/u);
  });

  it('catches content that nobody wrote there', () => {
    const story = new Story(noLostWrite);
    story.wrote('alpha', 3, 1);
    story.found('alpha', 4, 1);
    expect(story.check()).to.match(/invented: byte 2048/u);
  });

  it('lets a write that failed or died be there or not, but not vanish once it was read', () => {
    const story = new Story(noLostWrite);
    story.wrote('alpha', 0, 1);
    story.fail(story.write('alpha', 0, 2), 'HM_STALE_EPOCH');
    story.write('alpha', 0, 3);
    story.crash('alpha', 'process');
    story.found('beta', 0, 1);
    story.found('beta', 0, 2);
    expect(story.check()).to.equal(null);
    story.found('beta', 0, 1);
    expect(story.check()).to.match(/lost: byte 0 holds write 1, but write 2/u);
  });

  it('cannot tell writes of the same content apart, and does not cry wolf', () => {
    const story = new Story(noLostWrite);
    story.wrote('alpha', 0, 1);
    story.wrote('alpha', 0, 2);
    story.wrote('alpha', 0, 1);
    story.found('alpha', 0, 1);
    expect(story.check()).to.equal(null);
    story.found('alpha', 0, 2);
    expect(story.check()).to.match(/lost/u);
  });

  it('catches an element that holds something older at the end', () => {
    const story = new Story(noLostWrite);
    story.wrote('alpha', 0, 1);
    story.wrote('alpha', 0, 2);
    story.put('beta', 0, 1);
    expect(story.check()).to.equal(null);
    expect(story.conclude()).to.match(/^the element of m0 at beta: lost: byte 0 holds write 1/u);
  });

  it('catches an element that was changed where nobody wrote', () => {
    const story = new Story(noLostWrite);
    story.put('alpha', 100, 9);
    expect(story.conclude()).to.match(/invented: byte 51200/u);
  });

  describe('where machines lose power', () => {
    it('forgives nothing while the other node runs and holds everything', () => {
      const story = new Story(noLostWrite, { powerCuts: true });
      story.wrote('alpha', 0, 1);
      story.crash('alpha', 'power');
      story.found('beta', 0, 0);
      expect(story.check()).to.match(/lost/u);
    });

    it('forgives what no flush covers when both have lost power, and that only', () => {
      const story = new Story(noLostWrite, { powerCuts: true });
      story.wrote('alpha', 0, 1, true);
      story.wrote('alpha', 1, 2);
      story.flushed('alpha');
      story.wrote('alpha', 0, 3);
      story.wrote('alpha', 1, 4);
      story.crash('alpha', 'power');
      story.crash('beta', 'power');
      story.found('alpha', 0, 1);
      story.found('alpha', 1, 2);
      expect(story.check()).to.equal(null);
      story.found('alpha', 1, 0);
      expect(story.check()).to.match(/lost: byte 512/u);
    });

    it('forgives what the only holder lost', () => {
      const story = new Story(noLostWrite, { powerCuts: true });
      story.crash('beta', 'process');
      story.state('alpha', { serving: 'alone' });
      story.wrote('alpha', 0, 1);
      story.crash('alpha', 'power');
      story.found('alpha', 0, 0);
      expect(story.check()).to.equal(null);
    });

    it('forgives what a node lost that serves alone again without having been regenerated (boot.alone)', () => {
      const story = new Story(noLostWrite, { powerCuts: true });
      story.wrote('alpha', 0, 1, true);
      story.wrote('alpha', 1, 2);
      story.crash('alpha', 'power');
      story.boot('alpha');
      story.state('alpha', { serving: 'alone' });
      expect(story.check()).to.equal(null);
      story.found('alpha', 1, 0);
      expect(story.check()).to.equal(null);
      story.found('alpha', 0, 0);
      expect(story.check()).to.match(/lost: byte 0/u);
    });

    it('forgives it nothing once it was regenerated', () => {
      const story = new Story(noLostWrite, { powerCuts: true });
      story.wrote('alpha', 0, 1);
      story.crash('alpha', 'power');
      story.boot('alpha', { role: 'target', element: 'uptodate', connection: 'connected' });
      expect(story.check()).to.equal(null);
      story.state('alpha', { role: 'none', serving: 'alone', connection: 'connecting' });
      expect(story.check()).to.equal(null);
      story.found('alpha', 0, 0);
      expect(story.check()).to.match(/lost/u);
    });

    it('forgives what the only holder lost, though its process had died before its power', () => {
      const story = new Story(noLostWrite, { powerCuts: true });
      story.state('beta', { serving: 'alone' });
      story.wrote('beta', 0, 1);
      story.crash('beta', 'process');
      story.state('alpha', { serving: 'parked' });
      story.crash('beta', 'power');
      story.found('beta', 0, 0);
      expect(story.check()).to.equal(null);
    });

    it('counts a flush only for what was acknowledged before it was issued', () => {
      const story = new Story(noLostWrite, { powerCuts: true });
      const flush = story.flush('alpha');
      story.wrote('alpha', 0, 1);
      story.end(flush);
      story.crash('alpha', 'power');
      story.crash('beta', 'power');
      story.found('alpha', 0, 0);
      expect(story.check()).to.equal(null);
    });

    it('counts a node as a holder again once it was regenerated', () => {
      const story = new Story(noLostWrite, { powerCuts: true });
      story.crash('beta', 'power');
      story.boot('beta', { role: 'target', element: 'uptodate', connection: 'connected' });
      expect(story.check()).to.equal(null);
      story.wrote('alpha', 0, 1);
      story.crash('alpha', 'process');
      story.found('beta', 0, 0);
      expect(story.check()).to.match(/lost/u);
    });
  });

  describe('where two owners are not excluded', () => {
    const split = (oneOwner: boolean): Story => {
      const story = new Story(noLostWrite, { oneOwner });
      const write = story.write('alpha', 0, 1);
      story.end(write, undefined, { number: 2, owner: 'alpha' });
      story.end(story.read('beta', 0), 0, { number: 2, owner: 'beta' });
      return story;
    };

    it('judges nothing between a split and the next whole pair', () => {
      const story = split(false);
      story.linkOpen = false;
      story.state('alpha', { serving: 'alone', connection: 'connecting' });
      expect(story.check()).to.equal(null);
      story.state('alpha', { serving: 'yes', connection: 'connected' });
      expect(story.check()).to.equal(null);
      const later = { number: 3, owner: 'alpha' };
      story.end(story.write('alpha', 0, 5), undefined, later);
      story.end(story.read('alpha', 0), 1, later);
      expect(story.check()).to.match(/lost: byte 0 holds write 1/u);
    });

    it('does judge it where the policy excludes them', () => {
      expect(split(true).check()).to.match(/lost/u);
    });

    it('lets an operator accept a loss who forces a takeover', () => {
      const story = new Story(noLostWrite);
      story.wrote('alpha', 0, 1);
      story.crash('alpha', 'process');
      story.tell('beta', 'operator:asked', { evidence: { order: 'force-fallback' } });
      story.found('beta', 0, 0);
      expect(story.check()).to.equal(null);
    });
  });

  it('judges each sector of its own where writes overlap in part and a crash leaves some of one', () => {
    const story = new Story(noLostWrite);
    story.end(story.writeAcross('alpha', 0, 3, 1));
    story.writeAcross('alpha', 2, 3, 2);
    story.crash('alpha', 'process');
    story.foundAcross('beta', 0, [1, 1, 2, 0, 2]);
    expect(story.check()).to.equal(null);
    story.foundAcross('beta', 0, [1, 1, 1, 0, 2]);
    expect(story.check()).to.match(/byte 1024 holds write 1, but write 2 was acknowledged or read before/u);
  });

  describe('by memsync (write.both)', () => {
    const byMemsync = (): Story => new Story(noLostWrite, {}, { memsyncWindows: new Map([['m0', 512]]) });
    const takenByBeta = (story: Story): void => {
      story.crash('alpha', 'process');
      story.tell('beta', 'service:started', { rule: 'takeover.commit' });
    };

    it('forgives nothing where the source dies alone: what the target has received it applies', () => {
      const story = byMemsync();
      story.wrote('alpha', 0, 1);
      takenByBeta(story);
      story.found('beta', 0, 0);
      expect(story.check()).to.include('but write 1 was acknowledged');
    });

    it('forgives what fits into the window where the process of the target died first, with what it had received', () => {
      const story = byMemsync();
      story.wrote('alpha', 0, 1);
      story.wrote('alpha', 1, 2);
      story.crash('beta', 'process');
      story.boot('beta');
      takenByBeta(story);
      story.found('beta', 1, 0);
      expect(story.check()).to.equal(null);
      story.found('beta', 0, 0);
      expect(story.check()).to.include('but write 1 was acknowledged');
    });
  });

  it('forgives by memsync nothing that the source completed alone: the target whose process died had received none of it (write.degraded)', () => {
    for (const sourceDies of [true, false]) {
      const story = new Story(noLostWrite, {}, { memsyncWindows: new Map([['m0', 512]]) });
      story.crash('beta', 'process');
      story.state('alpha', { serving: 'alone' });
      story.tell('alpha', 'writes:resumed', {});
      story.wrote('alpha', 0, 1);
      story.boot('beta');
      if (sourceDies) story.crash('alpha', 'process');
      else {
        expect(story.check()).to.equal(null);
        story.state('alpha', { serving: 'no' });
      }
      story.tell('beta', 'service:started', { rule: 'takeover.commit' });
      story.found('beta', 0, 0);
      expect(story.check()).to.include('but write 1 was acknowledged');
    }
  });

  describe('by async (write.both)', () => {
    const byAsync = (): Story => new Story(noLostWrite, {}, { asyncWindows: new Map([['m0', 512]]) });

    function taken(story: Story): void {
      story.crash('alpha', 'process');
      story.tell('beta', 'service:started', { rule: 'takeover.commit' });
    }

    it('forgives a takeover the end of what was acknowledged, as much as fits into the window', () => {
      const story = byAsync();
      story.wrote('alpha', 0, 1);
      story.wrote('alpha', 1, 2);
      taken(story);
      story.found('beta', 1, 0);
      expect(story.check()).to.equal(null);
      story.found('beta', 0, 0);
      expect(story.check()).to.match(/byte 0 holds what was there at the beginning, but write 1 was acknowledged/u);
    });

    for (const [block, write] of [
      [0, 'write 1'],
      [1, 'write 2'],
    ] as const)
      it(`from where the serving node completes by sync, until it completes by async again, forgives nothing: ${write}`, () => {
        const story = byAsync();
        story.wrote('alpha', 0, 1);
        story.tell('alpha', 'protocol:changed', { mirror: 'm0', evidence: { protocol: 'sync', before: 'async' } });
        expect(story.check()).to.equal(null);
        story.wrote('alpha', 1, 2);
        story.tell('alpha', 'operator:asked', { evidence: { order: 'set-configured' } });
        story.wrote('alpha', 2, 3);
        taken(story);
        story.found('beta', 2, 0);
        expect(story.check()).to.equal(null);
        story.found('beta', block, 0);
        expect(story.check()).to.include(`but ${write} was acknowledged`);
      });

    it('goes on to forgive where a node that does not serve is told to complete by sync', () => {
      const story = byAsync();
      story.wrote('alpha', 0, 1);
      story.tell('beta', 'protocol:changed', { mirror: 'm0', evidence: { protocol: 'sync', before: 'async' } });
      expect(story.check()).to.equal(null);
      taken(story);
      story.found('beta', 0, 0);
      expect(story.check()).to.equal(null);
    });
  });

  it('takes a write of zeroes for a write', () => {
    const story = new Story(noLostWrite);
    story.end(story.writeAcross('alpha', 0, 2, 1));
    story.end(story.writeAcross('alpha', 1, 2, 0));
    story.foundAcross('beta', 0, [1, 0, 0]);
    expect(story.check()).to.equal(null);
    story.found('beta', 1, 1);
    expect(story.check()).to.match(/byte 512 holds write 1, but write 2 was acknowledged/u);
  });
});
