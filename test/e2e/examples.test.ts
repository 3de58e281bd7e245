import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { skipBecause } from '../support/skip.ts';
import { findNode } from './support/find-node.ts';
import { runProgram } from './support/program.ts';

describe('examples', function () {
  this.timeout(60_000);

  it('embed.ts mirrors a write, loses a node and reads it from the other', async () => {
    const { exitCode, stdout, stderr } = await runProgram(process.execPath, [path.join(repositoryRoot, '.build', 'examples', 'embed.js')]);
    expect(stderr).to.equal('');
    expect(stdout).to.equal('alpha wrote, and beta is uptodate\nbeta serves alone and reads: hello\n');
    expect(exitCode).to.equal(0);
  });

  describe('failover.test.ts, copied into a project, survives its primary', () => {
    const importLine = "import { describe, it } from 'node:test';\n";
    let folder: string;
    let source: string;

    before(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-example-'));
      source = await readFile(path.join(repositoryRoot, 'examples', 'failover.test.ts'), 'utf8');
      await mkdir(path.join(folder, 'node_modules'));
      await symlink(repositoryRoot, path.join(folder, 'node_modules', 'hotmirror'));
      await symlink(path.join(repositoryRoot, 'node_modules', 'chai'), path.join(folder, 'node_modules', 'chai'));
    });
    after(() => rm(folder, { recursive: true }));

    async function save(name: string, text: string): Promise<string> {
      const file = path.join(folder, name);
      await writeFile(file, text);
      return file;
    }

    async function passesUnderNodeTest(node: string, file: string): Promise<void> {
      const { exitCode, stdout } = await runProgram(node, ['--test', '--test-reporter', 'tap', file], { cwd: folder });
      expect(stdout).to.include('# pass 1');
      expect(exitCode).to.equal(0);
    }

    it('as .mjs under mocha, as it is', async () => {
      const mocha = path.join(repositoryRoot, 'node_modules', 'mocha', 'bin', 'mocha.js');
      const file = await save('failover.test.mjs', source);
      const { exitCode, stdout } = await runProgram(process.execPath, [mocha, '--no-config', '--reporter', 'spec', file], { cwd: folder });
      expect(stdout).to.include('1 passing');
      expect(exitCode).to.equal(0);
    });

    it('as .mjs under node --test, with the import that it names', async () => {
      expect(source).to.include(importLine.trim());
      await passesUnderNodeTest(process.execPath, await save('failover.test.mjs', importLine + source));
    });

    it('compiled from .ts under node --test', async () => {
      const compiled = await readFile(path.join(repositoryRoot, '.build', 'examples', 'failover.test.js'), 'utf8');
      await passesUnderNodeTest(process.execPath, await save('failover.test.mjs', importLine + compiled));
    });

    for (const major of [22, 24]) {
      it(`as .ts under node --test of Node ${String(major)}`, async function () {
        const node = await findNode(major);
        if (node === null) skipBecause(this, `Node ${String(major)} is not installed: npm run nodes`);
        await passesUnderNodeTest(node, await save('failover.test.ts', importLine + source));
      });
    }
  });
});
