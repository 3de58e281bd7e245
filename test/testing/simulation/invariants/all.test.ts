import { expect } from 'chai';

import { allWatchers, invariantPromises } from '../../../../src/testing/simulation/invariants/all.ts';
import { digestSector, zeroDigest } from '../../../../src/testing/simulation/invariants/sectors.ts';
import { content, Story } from './story.ts';

describe('the invariants', () => {
  it('are each watched by a watcher of their name, and promise something', () => {
    for (const [name, factory] of Object.entries(allWatchers)) expect(new Story(factory).watcher.invariant).to.equal(name);
    expect(Object.keys(invariantPromises)).to.deep.equal(Object.keys(allWatchers));
    for (const promise of Object.values(invariantPromises)) expect(promise).to.match(/^[A-Z].*\.$/u);
  });

  it('tell contents apart that differ in one byte', () => {
    const seen = new Set([zeroDigest]);
    const bytes = content(1);
    for (let at = 0; at < bytes.byteLength; at += 1) {
      const changed = bytes.slice();
      changed[at] = 0xa5;
      seen.add(digestSector(changed, 0));
    }
    expect(seen.size).to.equal(bytes.byteLength + 1);
  });
});
