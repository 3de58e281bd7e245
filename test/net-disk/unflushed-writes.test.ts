import { expect } from 'chai';

import { UnflushedWrites, whatMayBeLost } from '../../src/net-disk/unflushed-writes.ts';
import type { Change } from '../../src/net-disk/unflushed-writes.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';

const write = (value: number, offsetBytes: number, lengthBytes: number, fua = false): Change => ({
  ...{ kind: 'write', offsetBytes, lengthBytes, bytes: new Uint8Array(lengthBytes).fill(value), fua, noHole: false },
});
const told = (changes: readonly Change[]): readonly string[] =>
  changes.map(
    ({ kind, offsetBytes, lengthBytes, bytes, noHole }) =>
      `${kind}${String(bytes?.[0] ?? '')}@${String(offsetBytes)}+${String(lengthBytes)}${noHole ? ' solid' : ''}`,
  );

describe('What a server may have lost (net disk)', () => {
  it('is each range as it was changed last, in order, and nothing that is durable by itself', () => {
    const zeroes: Change = { kind: 'zeroes', offsetBytes: 0, lengthBytes: 10, bytes: null, fua: false, noHole: true };
    const trim: Change = { ...zeroes, kind: 'trim', offsetBytes: 8, lengthBytes: 4, noHole: false };
    expect(told(whatMayBeLost([zeroes, write(1, 2, 4), trim, write(2, 3, 1), write(3, 5, 2, true)]))).to.deep.equal([
      'zeroes@0+2 solid',
      'zeroes@7+1 solid',
      'write1@2+1',
      'write1@4+1',
      'trim@8+4',
      'write2@3+1',
    ]);
  });

  it('gives what a disk holds, whatever overlaps', () => {
    const random = new SeededRandom(1);
    for (let round = 0; round < 300; round += 1) {
      const [now, durable, changes] = [new Uint8Array(40), new Uint8Array(40), [] as Change[]];
      for (let value = 1; value <= 12; value += 1) {
        const offsetBytes = random.below(40);
        const change = write(value, offsetBytes, 1 + random.below(40 - offsetBytes), random.below(4) === 0);
        changes.push(change);
        now.set(change.bytes!, offsetBytes);
        if (change.fua) durable.set(change.bytes!, offsetBytes);
      }
      const pieces = whatMayBeLost(changes);
      for (const { bytes, offsetBytes } of pieces.toReversed()) durable.set(bytes!, offsetBytes);
      expect(durable).to.deep.equal(now);
    }
  });

  it('is kept until a flush covers it that was asked for afterwards, in memory of its own', () => {
    const unflushed = new UnflushedWrites();
    const first = write(1, 0, 4);
    unflushed.completed(first);
    first.bytes!.fill(9);
    const mark = unflushed.mark();
    unflushed.completed(write(2, 8, 4));
    expect(told(unflushed.toRepeat())).to.deep.equal(['write1@0+4', 'write2@8+4']);
    unflushed.flushed(mark);
    expect(told(unflushed.toRepeat())).to.deep.equal(['write2@8+4']);
    expect([unflushed.bytes, unflushed.count]).to.deep.equal([4, 1]);
  });

  it('takes no memory for what is durable by itself', () => {
    const unflushed = new UnflushedWrites();
    unflushed.completed(write(1, 0, 4, true));
    expect(unflushed.count).to.equal(0);
    unflushed.completed(write(2, 0, 4));
    unflushed.completed(write(3, 0, 4, true));
    expect([unflushed.bytes, unflushed.count]).to.deep.equal([4, 2]);
  });
});
