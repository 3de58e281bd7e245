import { expect } from 'chai';

import type { WorkloadOptions } from '../../../src/testing/simulation/options.ts';
import { simulatePair } from '../../../src/testing/simulation/simulated-pair.ts';

const mebibyte = 1_048_576;
const sectorBytes = 512;

interface Range {
  readonly offset: number;
  readonly length: number;
}

describe('the workload of a simulated pair', () => {
  /** What was written, in order, by a pair that nothing happens to. */
  async function written(workload: WorkloadOptions, sizeBytes = mebibyte): Promise<readonly Range[]> {
    using pair = await simulatePair({ mirrors: [{ name: 'm0', sizeBytes }], workload, detail: 'all' });
    await pair.runFor(3_000);
    await pair.settle();
    return pair.log.filter(({ event }) => event === 'write:issued').map(({ evidence }) => evidence as unknown as Range);
  }

  const overlapInPart = (one: Range, other: Range): boolean =>
    one.offset < other.offset + other.length && other.offset < one.offset + one.length && one.offset !== other.offset;

  it('asks for equal blocks at multiples of themselves by default', async () => {
    const writes = await written({});
    expect(writes.length).to.be.above(20);
    for (const { offset, length } of writes) expect([offset % 4_096, length]).to.deep.equal([0, 4_096]);
  });

  it('overlapsPercent: asks for ranges that overlap in part, within the mirror, of many lengths', async () => {
    const sizeBytes = 65_536;
    const writes = await written({ overlapsPercent: 100, writesPercent: 90, readsPercent: 5, blocks: 16 }, sizeBytes);
    const partly = writes.filter((write, at) => at > 0 && overlapInPart(write, writes[at - 1]!));
    expect(partly.length).to.be.above(writes.length / 10);
    expect(new Set(writes.map(({ length }) => length)).size).to.be.above(8);
    for (const { offset, length } of writes) {
      expect([offset % sectorBytes, length % sectorBytes]).to.deep.equal([0, 0]);
      expect(length > 0 && length <= 8_192 && offset >= 0 && offset + length <= sizeBytes, JSON.stringify({ offset, length })).to.equal(
        true,
      );
    }
  });

  it('longPercent: writes more than one message of the data link where there is room, and nowhere else', async () => {
    const long = (writes: readonly Range[]): readonly Range[] => writes.filter(({ length }) => length > mebibyte);
    expect(long(await written({ longPercent: 20 }, 2 * mebibyte)).length).to.be.above(0);
    expect(long(await written({ longPercent: 20 }, mebibyte))).to.deep.equal([]);
  });

  it('zeroesPercent: writes zeroes', async () => {
    using pair = await simulatePair({ workload: { zeroesPercent: 100, writesPercent: 100, readsPercent: 0 } });
    await pair.write({ offset: 0, bytes: new Uint8Array(mebibyte).fill(1) });
    await pair.runFor(5_000);
    await pair.settle();
    const bytes = await pair.read({ offset: 0, length: mebibyte });
    expect(bytes.includes(0)).to.equal(true);
    expect(bytes.filter((byte) => byte === 0).length % sectorBytes).to.equal(0);
  });
});
