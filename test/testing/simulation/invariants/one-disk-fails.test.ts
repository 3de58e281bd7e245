import { expect } from 'chai';

import { oneDiskFails } from '../../../../src/testing/simulation/invariants/one-disk-fails.ts';
import { mirror, Story } from './story.ts';

/** Both elements are seen to hold the same, then that of the serving node fails. */
function failed(story: Story, serving: 'yes' | 'no'): void {
  story.tell('alpha', 'mirror:state');
  story.check();
  story.state('alpha', { element: 'failed', serving });
}

describe('invariant one-disk-fails', () => {
  it('holds where the service goes on through the other element', () => {
    const story = new Story(oneDiskFails);
    failed(story, 'yes');
    expect(story.check()).to.equal(null);
  });

  it('catches a service that ends with its element', () => {
    const story = new Story(oneDiskFails);
    failed(story, 'no');
    expect(story.check()).to.match(/^the service of m0 at alpha ended with its element/u);
  });

  it('says nothing where the other element lacked something', () => {
    for (const lacking of [{ peerElement: 'inconsistent' }, { dirtyBytes: 512 }, { connection: 'standalone' }] as const) {
      const story = new Story(oneDiskFails);
      story.state('alpha', lacking);
      failed(story, 'no');
      expect(story.check()).to.equal(null, JSON.stringify(lacking));
    }
  });

  it('says nothing of a mirror that may pull ahead, whose target may be asked to fall behind (write.congested)', () => {
    const story = new Story(oneDiskFails, {}, { pullAhead: new Set([mirror]) });
    failed(story, 'no');
    expect(story.check()).to.equal(null);
  });

  it('catches a request that fails while the other element could have served it, and forgives a full disk', () => {
    const story = new Story(oneDiskFails);
    story.fail(story.write('alpha', 0, 1), 'HM_NO_SPACE');
    expect(story.check()).to.equal(null);
    story.fail(story.write('alpha', 0, 1), 'HM_IO_WRITE');
    expect(story.check()).to.match(/^write 2 of m0 at alpha ended with HM_IO_WRITE/u);
  });
});
