import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { infos, transmissionFlags } from '../../src/net-disk/protocol.ts';
import { exportProblem, readExport, replacementProblem } from '../../src/net-disk/server-export.ts';
import type { ServerExport } from '../../src/net-disk/server-export.ts';
import { bytesOf } from './support/nbd-bytes.ts';

const mebibyte = 2 ** 20;
const { hasFlags, sendFlush, sendFua } = transmissionFlags;
const exportInfo = (sizeBytes: number | bigint): Uint8Array =>
  bytesOf([16, infos.export], [64, sizeBytes], [16, hasFlags | sendFlush | sendFua]);
const read = (...sizes: readonly number[]): ServerExport =>
  readExport([exportInfo(mebibyte), bytesOf([16, infos.blockSize], ...sizes.map((size) => [32, size] as const))]);

const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'none';
  } catch (error) {
    return error instanceof HotMirrorError ? error.code : String(error);
  }
};

describe('What a server says of an export', () => {
  it('is read with the block sizes that every server takes, where it tells none', () => {
    expect(readExport([exportInfo(mebibyte)])).to.deep.equal({
      ...{ sizeBytes: mebibyte, blockSizeBytes: 512, requestBytes: 32 * mebibyte },
      ...{ readOnly: false, flush: true, fua: true, trim: false, writeZeroes: false },
    });
  });

  it('is respected: blocks as large as it needs, requests no larger than it takes, in whole blocks', () => {
    expect(read(4096, 4096, 65_536)).to.include({ blockSizeBytes: 4096, requestBytes: 65_536 });
    expect(read(1, 4096, 0xffffffff)).to.include({ blockSizeBytes: 512, requestBytes: 32 * mebibyte });
    expect(read(1, 1, 1_000)).to.include({ blockSizeBytes: 512, requestBytes: 512 });
  });

  for (const sizes of [
    [0, 4096, 65_536],
    [3, 4096, 65_536],
    [131_072, 131_072, 1_048_576],
    [4096, 512, 65_536],
    [512, 1_000, 65_536],
    [4096, 4096, 2048],
    [1, 512, 511],
    [4096, 4096, 65_537],
  ])
    it(`is refused where it cannot be: blocks of ${sizes.join(', ')}`, () => {
      expect(codeOf(() => read(...sizes))).to.equal('HM_BAD_MAGIC');
    });

  it('is refused without a size, and with one that no number holds', () => {
    expect(codeOf(() => readExport([]))).to.equal('HM_BAD_MAGIC');
    expect(codeOf(() => readExport([exportInfo(2n ** 63n)]))).to.equal('HM_BAD_MAGIC');
  });

  it('makes no disk of what is read-only or cannot be flushed', () => {
    const exported = readExport([exportInfo(mebibyte)]);
    expect(exportProblem(exported)).to.equal(null);
    expect(exportProblem({ ...exported, readOnly: true })?.code).to.equal('HM_DEVICE_ACCESS');
    expect(exportProblem({ ...exported, flush: false })?.code).to.equal('HM_NOT_SUPPORTED');
  });

  it('goes on as the same disk where it has grown or learned, and not where it was cut or has unlearned', () => {
    const before = readExport([exportInfo(mebibyte)]);
    const codeOfNow = (change: Partial<ServerExport>): string | null => replacementProblem(before, { ...before, ...change })?.code ?? null;
    expect([codeOfNow({}), codeOfNow({ sizeBytes: 2 * mebibyte }), codeOfNow({ trim: true })]).to.deep.equal([null, null, null]);
    expect(codeOfNow({ sizeBytes: mebibyte - 512 })).to.equal('HM_ELEMENT_TOO_SMALL');
    expect(codeOfNow({ readOnly: true })).to.equal('HM_DEVICE_ACCESS');
    expect([codeOfNow({ flush: false }), codeOfNow({ fua: false }), codeOfNow({ blockSizeBytes: 4096 })]).to.deep.equal([
      'HM_NOT_SUPPORTED',
      'HM_NOT_SUPPORTED',
      'HM_NOT_SUPPORTED',
    ]);
  });
});
