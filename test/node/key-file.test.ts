import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { ensureKeyFile, readKeyFile } from '../../src/node/key-file.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { withFolder } from './temporary-folder.ts';

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error as HotMirrorError).code,
  );
}

describe('key file', () => {
  it('is made once, 32 bytes, readable by its owner only', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'pair.key');
      expect(await ensureKeyFile(file, new SeededRandom(1))).to.equal('created');
      expect((await stat(file)).mode & 0o777).to.equal(0o600);
      const key = await readKeyFile(file);
      expect([...key]).to.deep.equal([...new SeededRandom(1).bytes(32)]);
      expect(await ensureKeyFile(file, new SeededRandom(2))).to.equal('present');
      expect([...(await readFile(file))]).to.deep.equal([...key]);
    }));

  it('is missing: says to copy it', () =>
    withFolder(async (folder) => {
      const error = await readKeyFile(path.join(folder, 'none')).then(
        () => expect.fail('read'),
        (caught: unknown) => caught as HotMirrorError,
      );
      expect(error.code).to.equal('HM_KEY_MISSING');
      expect(error.message).to.contain('copy it from');
    }));

  it('is invalid with another length, with a wider mode, or as a folder', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'pair.key');
      for (const length of [0, 31, 33]) {
        await writeFile(file, new Uint8Array(length), { mode: 0o600 });
        expect(await codeOf(readKeyFile(file))).to.equal('HM_KEY_INVALID');
        expect(await codeOf(ensureKeyFile(file, new SeededRandom(1)))).to.equal('HM_KEY_INVALID');
      }
      await writeFile(file, new Uint8Array(32));
      for (const mode of [0o640, 0o604, 0o620]) {
        await chmod(file, mode);
        expect(await codeOf(readKeyFile(file))).to.equal('HM_KEY_INVALID');
      }
      await chmod(folder, 0o700);
      expect(await codeOf(readKeyFile(folder))).to.equal('HM_KEY_INVALID');
    }));

  it('is not made where its folder is missing', () =>
    withFolder(async (folder) => {
      expect(await codeOf(ensureKeyFile(path.join(folder, 'no', 'pair.key'), new SeededRandom(1)))).to.equal('HM_STATE_UNWRITABLE');
    }));
});
