import { expect } from 'chai';
import fc from 'fast-check';

import { transfer, transferAsync } from '../../src/device/transfer.ts';

describe('transfer', () => {
  const lengths = fc.nat(10_000);
  const moves = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1 });

  it('moves every byte once and in order, however little each step moves', async () => {
    await fc.assert(
      fc.asyncProperty(lengths, moves, async (lengthBytes, sizes) => {
        const sync: number[] = [];
        const async_: number[] = [];
        const step = (into: number[]) => {
          let turn = 0;
          return (at: number, length: number): number => {
            const moved = Math.min(length, sizes[turn++ % sizes.length] ?? 1);
            for (let byte = at; byte < at + moved; byte += 1) into.push(byte);
            return moved;
          };
        };
        const asyncStep = step(async_);
        expect(transfer(lengthBytes, step(sync))).to.equal(lengthBytes);
        expect(await transferAsync(lengthBytes, (at, length) => Promise.resolve(asyncStep(at, length)))).to.equal(lengthBytes);
        for (const seen of [sync, async_]) expect(seen.every((byte, at) => byte === at) && seen.length === lengthBytes).to.equal(true);
      }),
      { numRuns: 50 },
    );
  });

  it('stops where a step moves nothing', async () => {
    const until = (end: number) => (at: number, length: number) => Math.min(length, end - at, 10);
    expect(transfer(100, until(55))).to.equal(55);
    expect(await transferAsync(100, (at, length) => Promise.resolve(until(55)(at, length)))).to.equal(55);
  });
});
