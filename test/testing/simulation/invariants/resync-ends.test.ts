import { expect } from 'chai';

import { resyncBoundMs, resyncEnds } from '../../../../src/testing/simulation/invariants/resync-ends.ts';
import { deadlineMs, sizeBytes, Story } from './story.ts';

const progress = { doneBytes: 0, totalBytes: sizeBytes, bytesPerSecond: 0, remainingMs: null };
const boundMs = resyncBoundMs(sizeBytes, deadlineMs);

function resyncing(): Story {
  const story = new Story(resyncEnds);
  story.state('alpha', { resync: progress, peerElement: 'inconsistent' });
  story.state('beta', { element: 'inconsistent' });
  return story;
}

/** Time passes in small steps; what the watcher says last. */
function pass(story: Story, forMs: number): string | null {
  let said = story.check();
  for (const untilMs = story.nowMs + forMs; story.nowMs < untilMs && said === null;) {
    story.nowMs += 100;
    said = story.check();
  }
  return said;
}

describe('invariant resync-ends', () => {
  it('gives 60 deadlines, and one for each MiB', () => {
    expect(boundMs).to.equal(68_000);
  });

  it('holds where a resync ends in time', () => {
    const story = resyncing();
    expect(pass(story, boundMs - 1_000)).to.equal(null);
    story.state('alpha', { resync: null });
    expect(pass(story, 3 * boundMs)).to.equal(null);
  });

  it('catches one that does not', () => {
    expect(pass(resyncing(), boundMs + 2_000)).to.match(/the resync of m0 has run for \d+ ms without a break; 68000 ms are its bound/u);
  });

  it('waits while the link is closed, a node is down or stands still, or a disk stalls', () => {
    const breaks: readonly ((story: Story) => void)[] = [
      (story) => (story.linkOpen = false),
      (story) => (story.beta.running = false),
      (story) => (story.alpha.paused = true),
      (story) => {
        const fault = { kind: 'stall', forMs: 10 * boundMs };
        story.tell('world', 'fault:begun', { evidence: { step: { do: 'disk', node: 'beta', disk: 'element', fault } } });
      },
      (story) => {
        const fault = { kind: 'slow', addMs: 60_000 };
        story.tell('world', 'fault:begun', { evidence: { step: { do: 'disk', node: 'beta', disk: 'element', fault } } });
      },
    ];
    for (const begin of breaks) {
      const story = resyncing();
      begin(story);
      expect(pass(story, 3 * boundMs)).to.equal(null);
    }
  });

  it('counts anew after a break', () => {
    const story = resyncing();
    expect(pass(story, boundMs - 1_000)).to.equal(null);
    story.tell('alpha', 'link:lost');
    expect(pass(story, boundMs - 1_000)).to.equal(null);
    expect(pass(story, 3_000)).to.match(/without a break/u);
  });
});
