import { expect } from 'chai';

import { assertBlockSize, refuseRange } from '../../src/device/requests.ts';

describe('refuseRange', () => {
  const disk = { sizeBytes: 4096, blockSizeBytes: 512 };
  const code = (offsetBytes: number, lengthBytes: number): string | undefined => refuseRange(disk, offsetBytes, lengthBytes)?.code;

  it('allows whole blocks within the device, and nothing at its end', () => {
    expect([code(0, 4096), code(3584, 512), code(4096, 0), code(0, 0)]).to.deep.equal([undefined, undefined, undefined, undefined]);
  });

  it('calls a range that is both outside and unaligned outside', () => {
    expect([code(4095, 2), code(-1, 1), code(NaN, NaN), code(0, Number.MAX_VALUE)]).to.deep.equal(Array(4).fill('HM_OUT_OF_RANGE'));
    expect([code(1, 512), code(0, 1), code(1, 0)]).to.deep.equal(Array(3).fill('HM_UNALIGNED'));
  });

  it('says what was asked, for programs too', () => {
    expect(refuseRange(disk, 4096, 512)?.details).to.deep.equal({ offsetBytes: 4096, lengthBytes: 512, sizeBytes: 4096 });
  });
});

describe('assertBlockSize', () => {
  it('takes powers of two', () => {
    for (const fine of [1, 512, 4096, 65536])
      expect(() => {
        assertBlockSize(fine);
      }).not.to.throw();
    for (const wrong of [0, -512, 3, 513, 0.5, NaN, Infinity])
      expect(() => {
        assertBlockSize(wrong);
      }, String(wrong)).to.throw(RangeError);
  });
});
