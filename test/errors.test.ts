import { expect } from 'chai';

import { HotMirrorError } from '../src/errors.ts';

describe('An error', () => {
  it('has the remedy of its code, or its own', () => {
    const ofItsCode = new HotMirrorError('HM_BUSY', 'full');
    expect(ofItsCode.remedy).to.be.a('string').and.not.equal('');
    const itsOwn = new HotMirrorError('HM_BUSY', 'full', { details: { remedy: 'wait for the tide' } });
    expect(itsOwn.remedy).to.equal('wait for the tide');
    expect(new HotMirrorError('HM_BUSY', 'full', { details: { remedy: 7 } }).remedy).to.equal(ofItsCode.remedy);
  });

  it('is the same on another thread or node, its remedy too', () => {
    const sent = new HotMirrorError('HM_REFUSED', 'no', { rule: 'element.off', details: { remedy: 'bring it back', bytes: 7 } });
    const arrived = HotMirrorError.fromJSON(JSON.parse(JSON.stringify(sent)));
    expect(arrived).to.deep.include({ code: 'HM_REFUSED', message: 'no', rule: 'element.off', remedy: 'bring it back' });
    expect(arrived.details).to.deep.equal({ remedy: 'bring it back', bytes: 7 });
  });

  for (const [what, value] of [
    ['nothing', null],
    ['a code that nobody knows', { code: 'HM_NONSENSE', message: 'x' }],
    ['a code that is no word', { code: 7, message: 'x' }],
    ['details that are none', { code: 'HM_BUSY', message: 'x', details: null }],
    ['a word', 'x'],
  ] as const)
    it(`is one whatever a peer sent in its place: ${what}`, () => {
      const error = HotMirrorError.fromJSON(value);
      expect(error).to.be.instanceOf(HotMirrorError);
      expect(error.remedy).to.be.a('string');
    });
});
