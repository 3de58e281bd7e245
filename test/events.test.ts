import { expect } from 'chai';

import { HotMirrorError } from '../src/errors.ts';
import { evidenceOf } from '../src/events.ts';

describe('what a log keeps of an event', () => {
  const base = { atMs: 1, class: 0, text: 'a step failed' } as const;

  it('is all that this kind of event says, with its evidence', () => {
    expect(evidenceOf({ ...base, rule: 'watch.all', link: 'lan', to: 'down', evidence: { silentMs: 1_200 } })).to.deep.equal({
      link: 'lan',
      to: 'down',
      silentMs: 1_200,
    });
  });

  it('of an error is its code', () => {
    const error = new HotMirrorError('HM_STEP_FAILED', 'mount: busy').toJSON();
    expect(evidenceOf({ ...base, step: 'mount', error })).to.deep.equal({ code: 'HM_STEP_FAILED', step: 'mount' });
  });

  it('is nothing where it says no more than every event', () => {
    expect(evidenceOf({ ...base, mirror: 'm0' })).to.equal(undefined);
  });
});
