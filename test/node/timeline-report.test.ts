import { execFileSync } from 'node:child_process';
import { lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';

import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { checkReportFile, writeTimelineReport } from '../../src/node/timeline-report.ts';
import { takeoverStory } from '../testing/timeline/sample-entries.ts';
import { withFolder } from './temporary-folder.ts';

const about = { title: 'A takeover', note: 'seed 41' };

async function refusalOf(running: Promise<unknown>): Promise<HotMirrorError> {
  return running.then(
    () => expect.fail('it was not refused'),
    (error: unknown) => error as HotMirrorError,
  );
}

/** Makes everything that is no regular file under its own name; gives what it is called. */
async function specialFiles(folder: string): Promise<Readonly<Record<string, string>>> {
  const at = (name: string): string => path.join(folder, name);
  await mkdir(at('folder'));
  await writeFile(at('kept.html'), 'kept');
  await symlink('kept.html', at('link'));
  await symlink('nowhere', at('dangling'));
  execFileSync('mkfifo', [at('fifo')]);
  return { folder: 'folder', link: 'symbolic link', dangling: 'symbolic link', fifo: 'fifo' };
}

describe('timeline report', () => {
  it('refuses what exists and is no regular file, and leaves it as it was', () =>
    withFolder(async (folder) => {
      for (const [name, kind] of Object.entries(await specialFiles(folder))) {
        const file = path.join(folder, name);
        const before = await lstat(file);
        for (const refused of [checkReportFile(file), writeTimelineReport(takeoverStory(), { file, ...about })]) {
          const { code, message } = await refusalOf(refused);
          expect([code, message]).to.deep.equal(['HM_USAGE', `${file} cannot be written: it is a ${kind}`]);
        }
        expect((await lstat(file)).ino).to.equal(before.ino);
      }
      expect(await readFile(path.join(folder, 'kept.html'), 'utf8')).to.equal('kept');
    }));

  it('refuses a socket, and a device', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'socket');
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(file, resolve));
      try {
        expect((await refusalOf(checkReportFile(file))).message).to.contain('it is a socket');
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
      expect((await refusalOf(checkReportFile('/dev/null'))).message).to.equal('/dev/null cannot be written: it is a device');
    }));

  it('refuses a folder that is not there or cannot be written, and says what to do', () =>
    withFolder(async (folder) => {
      await writeFile(path.join(folder, 'file'), '');
      // Nobody makes files in /proc, root neither.
      for (const file of [path.join(folder, 'absent', 'x.html'), path.join(folder, 'file', 'x.html'), '/proc/x.html']) {
        const { code, message, details } = await refusalOf(checkReportFile(file));
        expect(code).to.equal('HM_USAGE');
        expect(message).to.contain(`${file} cannot be written: `);
        expect(details?.['remedy']).to.contain('Name a file in a folder that you may write to');
      }
    }));

  it('leaves nothing behind when it checks, and only the page when it writes', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'x.html');
      await checkReportFile(file);
      expect(await readdir(folder)).to.deep.equal([]);
      // A file of this name is none of its business.
      await writeFile(`${file}.new`, 'mine');
      for (const held of ['nothing', 'a page']) {
        await checkReportFile(file);
        expect(await writeTimelineReport(takeoverStory(), { file, ...about }), held).to.include({ file });
      }
      expect((await readdir(folder)).sort()).to.deep.equal(['x.html', 'x.html.new']);
      expect((await lstat(file)).mode & 0o777).to.equal(0o600);
      expect(await readFile(`${file}.new`, 'utf8')).to.equal('mine');
    }));
});
