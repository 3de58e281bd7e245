import { expect } from 'chai';
import fc from 'fast-check';

import { DirtyMap } from '../../src/mirror/dirty-map.ts';

const extentBytes = 512;

describe('DirtyMap', () => {
  it('behaves as a set of extents', () => {
    const extents = 83;
    const extent = fc.integer({ min: -2, max: extents + 2 });
    const step = fc.oneof(
      fc.record({ kind: fc.constant('mark' as const), extent }),
      fc.record({ kind: fc.constant('clear' as const), extent }),
      fc.record({ kind: fc.constant('range' as const), extent: fc.nat(extents * extentBytes - 1), lengthBytes: fc.nat(5_000) }),
      fc.record({ kind: fc.constant('all' as const) }),
      fc.record({ kind: fc.constant('none' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const map = new DirtyMap(extents * extentBytes - 100, extentBytes);
        const model = new Set<number>();
        for (const taken of steps) {
          if (taken.kind === 'mark') {
            const fresh = taken.extent >= 0 && taken.extent < extents && !model.has(taken.extent);
            expect(map.mark(taken.extent)).to.equal(fresh);
            if (fresh) model.add(taken.extent);
          } else if (taken.kind === 'clear') {
            expect(map.clear(taken.extent)).to.equal(model.delete(taken.extent));
          } else if (taken.kind === 'range') {
            map.markRange(taken.extent, taken.lengthBytes);
            const end = Math.min(taken.extent + taken.lengthBytes, extents * extentBytes);
            for (let at = taken.extent; at < end; at += 1) model.add(Math.floor(at / extentBytes));
          } else if (taken.kind === 'all') {
            map.markAll();
            for (let all = 0; all < extents; all += 1) model.add(all);
          } else {
            map.clearAll();
            model.clear();
          }
        }
        const sorted = [...model].sort((a, b) => a - b);
        expect(map.count).to.equal(model.size);
        expect([...map.runs()].flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at))).to.deep.equal(sorted);
        const copy = new DirtyMap(extents * extentBytes - 100, extentBytes);
        copy.include(0, map.bytes(0, 5));
        copy.include(5, map.bytes(5, 1_000));
        expect([...copy.runs()]).to.deep.equal([...map.runs()]);
      }),
    );
  });

  it('takes nothing from stored bytes that lies beyond the disk', () => {
    const map = new DirtyMap(10 * extentBytes, extentBytes);
    map.mark(3);
    map.include(1, new Uint8Array(5).fill(0xff));
    map.include(9, new Uint8Array(1).fill(0xff));
    expect([...map.runs()]).to.deep.equal([
      { first: 3, count: 1 },
      { first: 8, count: 2 },
    ]);
    expect(map.count).to.equal(3);
  });

  it('marks every extent that a range touches, and nothing for an empty range', () => {
    const map = new DirtyMap(10 * extentBytes, extentBytes);
    map.markRange(extentBytes, 0);
    expect(map.count).to.equal(0);
    map.markRange(extentBytes - 1, 2);
    expect([...map.runs()]).to.deep.equal([{ first: 0, count: 2 }]);
  });
});
