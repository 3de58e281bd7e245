import { expect } from 'chai';

import { toldLines } from '../../src/node/told-lines.ts';

describe('What a node in the foreground tells', () => {
  it('is what is of class 1 and above, and what ends a worry', () => {
    const told = toldLines();
    expect(told({ event: 'writes:parked', class: 3, text: 'requests wait' })).to.equal('class 3: writes:parked: requests wait');
    expect(told({ event: 'mirror:state', class: 0, text: 'parked' })).to.equal(null);
    expect(told({ event: 'writes:resumed', class: 0, text: 'requests complete again' })).to.equal(
      'class 0: writes:resumed: requests complete again',
    );
  });

  it('is that a health probe of either node fails, and that it no longer does', () => {
    const told = toldLines();
    for (const event of ['health:changed', 'peer-health:changed']) {
      expect(told({ event, class: 1, text: 'it fails' })).not.to.equal(null);
      expect(told({ event, class: 0, text: 'it is ok' })).to.equal(`class 0: ${event}: it is ok`);
    }
  });

  it('repeats what an attempt to connect finds only when it is new, for each mirror', () => {
    const told = toldLines();
    const refused = { event: 'link:refused', class: 1, text: 'both elements were written alone' } as const;
    expect([told({ ...refused, mirror: 'm0' }), told({ ...refused, mirror: 'm0' })].map((line) => line === null)).to.deep.equal([
      false,
      true,
    ]);
    expect(told({ ...refused, mirror: 'm1' })).not.to.equal(null);
    expect(told({ ...refused, mirror: 'm0', text: 'the keys differ' })).not.to.equal(null);
    expect(told({ ...refused, mirror: 'm0', text: 'the keys differ (again, 9 times in 60.0 s)', evidence: { repeats: 9 } })).to.equal(null);
    expect(told({ event: 'link:lost', class: 1, text: 'gone' })).not.to.equal(null);
    expect(told({ event: 'link:lost', class: 1, text: 'gone' })).not.to.equal(null);
  });

  it('is that an export is there only after it was not', () => {
    const told = toldLines();
    const opened = { event: 'export:opened', class: 0, text: 'it can be used', mirror: 'm0' } as const;
    expect(told(opened)).to.equal(null);
    expect(told({ event: 'export:failed', class: 3, text: 'it could not be opened', mirror: 'm0' })).not.to.equal(null);
    expect(told({ ...opened, mirror: 'm1' })).to.equal(null);
    expect(told(opened)).to.equal('class 0: export:opened: it can be used');
    expect(told(opened)).to.equal(null);
  });
});
