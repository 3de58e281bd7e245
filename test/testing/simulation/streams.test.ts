import { expect } from 'chai';

import { streamOf } from '../../../src/testing/simulation/streams.ts';

const take = (seed: number, part: string): readonly number[] => {
  const random = streamOf(seed, part);
  return Array.from({ length: 4 }, () => random.next32());
};

describe('streams of chance', () => {
  it('are the same for the same seed and part', () => {
    expect(take(7, 'disk alpha')).to.deep.equal(take(7, 'disk alpha'));
  });

  it('differ between parts, and between seeds', () => {
    const parts = ['disk alpha', 'disk beta', 'network', 'workload', 'process alpha 1', 'process alpha 2'];
    const first = new Set(parts.flatMap((part) => [1, 2, 3, 71].map((seed) => take(seed, part)[0])));
    expect(first.size).to.equal(parts.length * 4);
  });

  it('do not change from one version to the next, for seeds are kept', () => {
    expect(take(1, 'network')).to.deep.equal([2_009_648_873, 839_790_460, 3_671_657_968, 2_157_882_427]);
  });
});
