import { expect } from 'chai';

import { convergence } from '../../../../src/testing/simulation/invariants/convergence.ts';
import { diagnose } from '../../../../src/testing/simulation/invariants/diagnosis.ts';
import { Story } from './story.ts';

describe('invariant convergence', () => {
  it('holds where one node serves and both hold the same', () => {
    const story = new Story(convergence);
    story.wrote('alpha', 0, 1);
    expect(story.conclude()).to.equal(null);
  });

  const broken: readonly (readonly [string, (story: Story) => void, RegExp])[] = [
    ['an element that differs', (story) => story.put('beta', 9, 1), /^the elements of m0 differ at byte 4608$/mu],
    ['an element that is not uptodate', (story) => story.state('beta', { element: 'consistent' }), /^m0 is not served by one node/u],
    ['a mirror that is parked', (story) => story.state('alpha', { serving: 'parked' }), /parked/u],
    ['two mirrors served', (story) => story.state('beta', { serving: 'alone' }), /^m0 is not served by one node/u],
    ['a node that is down', (story) => story.crash('beta', 'process'), /beta is down/u],
    [
      'records that differ',
      ({ beta }) => (beta.failover = { ...beta.failover, record: { ...beta.failover.record, epoch: { number: 2, owner: 'beta' } } }),
      /^the pair records differ: epoch 1\/alpha, primary alpha, control auto 1 at alpha, epoch 2\/beta/u,
    ],
    ['no node that serves', ({ alpha }) => (alpha.failover = { ...alpha.failover, serving: false }), /^no node serves/u],
    ['both serving', ({ beta }) => (beta.failover = { ...beta.failover, serving: true }), /^both nodes serve/u],
    ['a service that failed', ({ alpha }) => (alpha.failover = { ...alpha.failover, service: 'failed' }), /its service is failed/u],
  ];
  for (const [what, happen, told] of broken)
    it(`catches ${what}`, () => {
      const story = new Story(convergence);
      happen(story);
      expect(story.conclude()).to.match(told);
    });
});

describe('the diagnosis of a pair', () => {
  it('says who waits for what', () => {
    const story = new Story(convergence);
    story.linkOpen = false;
    story.state('alpha', { serving: 'parked', connection: 'connecting', role: 'none', peerElement: 'consistent', dirtyBytes: 65_536 });
    story.alpha.failover = { ...story.alpha.failover, blockedBy: [{ rule: 'arbiter.cas', because: 'the arbiter does not answer' }] };
    story.state('beta', { element: 'failed', connection: 'connecting', role: 'none', peerElement: 'absent' });
    story.beta.paused = true;
    expect(diagnose(story.view)).to.deep.equal([
      'alpha serves (epoch 1/alpha, control auto, service running), blocked by arbiter.cas: the arbiter does not answer, has no report of beta',
      'beta (its process stands still) is passive (epoch 1/alpha, control auto, service stopped), blocked by nothing, has no report of alpha',
      'm0 at alpha: element uptodate, parked: waits for the data link or for leave to go on alone, data link closed and connecting, role none, ' +
        "its peer's element consistent, epoch 1/alpha, 65536 bytes to copy",
      "m0 at beta: element failed, not served, data link closed and connecting, role none, its peer's element absent, epoch 1/alpha",
    ]);
  });

  it('says what a starting node waits for', () => {
    const story = new Story(convergence);
    story.crash('alpha', 'process');
    story.beta.failover = { ...story.beta.failover, booting: true, blockedBy: [{ rule: 'boot.alone', because: 'alpha does not answer' }] };
    story.state('beta', { resync: { doneBytes: 1, totalBytes: 2, bytesPerSecond: 0, remainingMs: null } });
    const [down, starting, ...mirrors] = diagnose(story.view);
    expect(down).to.equal('alpha is down');
    expect(starting).to.match(/^beta boots .* blocked by boot\.alone: alpha does not answer/u);
    expect(mirrors).to.have.length(1);
    expect(mirrors[0]).to.match(/resync at 1 of 2 bytes/u);
  });
});
