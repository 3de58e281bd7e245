import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { errorRemedies, HotMirrorError } from '../../src/errors.ts';
import { openSparseFile } from '../../src/node/sparse-file.ts';
import { PreImageLog, preImageLogBytes } from '../../src/mirror/pre-image-log.ts';
import type { PreImageHeader } from '../../src/mirror/pre-image-log.ts';
import { run, withNode, withPair } from './support/command-lines.ts';
import type { Ran } from './support/command-lines.ts';

describe('command line', () => {
  describe('salvage', () => {
    const extentBytes = 65_536;
    const header: PreImageHeader = {
      ...{ kind: 'salvage', id: 'a'.repeat(16), mirror: 'files', node: 'south', mirrorId: 'b'.repeat(32), generation: 'c'.repeat(16) },
      ...{ sizeBytes: 4 * extentBytes, extentBytes, time: '2026-01-01T00:00:00.000Z', finished: false },
    };
    const withFile = (use: (file: string) => Promise<void>): Promise<void> =>
      withPair(async (config) => {
        const file = path.join(path.dirname(config), 'kept');
        const { device } = await openSparseFile(file, preImageLogBytes(4, extentBytes));
        const log = await PreImageLog.create(device, header);
        await log.add([3, 1].map((extent) => ({ extent, bytes: new Uint8Array(extentBytes).fill(48 + extent) })));
        await device.close();
        await use(file);
      });

    it('ls says what it holds, without a configuration', () =>
      withFile(async (file) => {
        const { code, out } = await run(['salvage', 'ls', file]);
        expect(code).to.equal(0);
        expect(out).to.contain('salvage of files').and.to.contain('2 extents of 64 KiB').and.to.contain('\n  1\n  3\n');
        expect(JSON.parse((await run(['salvage', 'ls', file, '--json'])).out)).to.deep.include({ schema: 1, header, damaged: [] });
      }));

    it('cat writes the bytes of all extents in the order of the disk, or of one', () =>
      withFile(async (file) => {
        expect((await run(['salvage', 'cat', file])).out).to.equal('1'.repeat(extentBytes) + '3'.repeat(extentBytes));
        expect((await run(['salvage', 'cat', file, '--extent', '3'])).out).to.equal('3'.repeat(extentBytes));
        expect(await run(['salvage', 'cat', file, '--extent', '2'])).to.include({ code: 1, out: '' });
      }));

    it('exit code 5: what is damaged is told of', () =>
      withFile(async (file) => {
        const { device } = await openSparseFile(file, 0);
        // Records below another were durable before it.
        await (await PreImageLog.open(device))?.add([{ extent: 0, bytes: new Uint8Array(extentBytes) }]);
        await device.close();
        const bytes = await readFile(file);
        bytes[8_192 + 4_096 + 9] = 0;
        await writeFile(file, bytes);
        const { code, out } = await run(['salvage', 'ls', file]);
        expect(code).to.equal(5);
        expect(out).to.contain('not whole: extents 3');
      }));

    it('exit code 2: neither ls nor cat, no file, an extent that is no number', () =>
      withFile(async (file) => {
        for (const words of [['dd', file], ['ls'], ['cat', file, '--extent', 'x'], ['cat', file, '--json']])
          expect((await run(['salvage', ...words])).code, words.join(' ')).to.equal(2);
      }));
  });

  it('exit code 1: failed', () =>
    withNode({ recover: () => Promise.reject(new HotMirrorError('HM_STEP_FAILED', 'mount: no such device')) }, async (on) => {
      const { code, err } = await on('recover');
      expect(code).to.equal(1);
      expect(err).to.contain('mount: no such device').and.to.contain('remedy: ');
    }));

  it('an error is JSON on stderr with --json, whatever went wrong', async () => {
    const parsed = async (running: Promise<Ran>): Promise<unknown> => {
      const { out, err } = await running;
      expect(out).to.equal('');
      expect(err.trimEnd().split('\n')).to.have.lengthOf(1);
      return JSON.parse(err);
    };
    const usage = { code: 'HM_USAGE', message: 'no command is called "dance"', remedy: errorRemedies.HM_USAGE };
    expect(await parsed(run(['dance', '--json']))).to.deep.equal(usage);
    const refused = new HotMirrorError('HM_REFUSED', 'south is not healthy', { rule: 'takeover.uptodate' });
    await withNode({ switchover: () => Promise.reject(refused) }, async (on) => {
      const error = (await parsed(on('switchover', '--json'))) as Readonly<Record<string, string>>;
      expect(error).to.include({ code: 'HM_REFUSED', message: 'south is not healthy', rule: 'takeover.uptodate' });
      expect(error['remedy']).to.contain('uptodate');
      expect(await parsed(on('resume', '--json')))
        .to.have.property('remedy')
        .that.contains('--yes');
    });
  });
});
