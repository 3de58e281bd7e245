import { chmod, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { PreImageLog, preImageLogBytes } from '../../src/mirror/pre-image-log.ts';
import type { PreImageHeader } from '../../src/mirror/pre-image-log.ts';
import { openSalvage, reportSalvage } from '../../src/node/read-salvage.ts';
import { openSparseFile } from '../../src/node/sparse-file.ts';
import { withFolder } from './temporary-folder.ts';

const extent = 65_536;
const ownerOnly = 0o600;
const permissions = 0o777;
const header: PreImageHeader = {
  ...{ kind: 'salvage' as const, id: 'a'.repeat(16), mirror: 'm0', node: 'beta', mirrorId: 'b'.repeat(32), generation: 'c'.repeat(16) },
  ...{ sizeBytes: 4 * extent, extentBytes: extent, time: '2026-01-01T00:00:00.000Z', finished: false },
};

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error as HotMirrorError).code,
  );
}

describe('salvage files of a node', () => {
  it('are made for their owner only, sparse, and read while they are in use', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'deep', 'kept');
      const { device, created } = await openSparseFile(file, preImageLogBytes(4, extent));
      try {
        expect(created).to.equal(true);
        const { mode, size, blocks } = await stat(file);
        expect([mode & permissions, size]).to.deep.equal([ownerOnly, preImageLogBytes(4, extent)]);
        expect(blocks * 512).to.be.below(extent);
        const log = await PreImageLog.create(device, header);
        await log.add([{ extent: 1, bytes: new Uint8Array(extent).fill(5) }]);
        const salvage = await openSalvage(file);
        try {
          expect(await reportSalvage(salvage)).to.deep.equal({ header, saved: [{ first: 1, count: 1 }], unreadable: [], damaged: [] });
          expect((await salvage.log.image(1))?.bytes[0]).to.equal(5);
        } finally {
          await salvage.close();
        }
      } finally {
        await device.close();
      }
    }));

  it('that are there are opened as they are', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'kept');
      await writeFile(file, Buffer.alloc(1_000, 7));
      const { device, created } = await openSparseFile(file, preImageLogBytes(4, extent));
      await device.close();
      expect([created, (await stat(file)).size]).to.deep.equal([false, 1_000]);
      expect(await codeOf(openSalvage(file))).to.equal('HM_SALVAGE');
    }));

  it('that cannot be opened are told of', () =>
    withFolder(async (folder) => {
      expect(await codeOf(openSalvage(path.join(folder, 'none')))).to.equal('HM_SALVAGE');
      await chmod(folder, 0o700);
      expect(await codeOf(openSparseFile(path.join(folder, 'none', '\0'), 512))).to.equal('HM_STATE_UNWRITABLE');
    }));
});
