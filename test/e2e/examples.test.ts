import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { runProgram } from './support/program.ts';

describe('examples', function () {
  this.timeout(60_000);

  it('embed.ts mirrors a write, loses a node and reads it from the other', async () => {
    const { exitCode, stdout, stderr } = await runProgram(process.execPath, [path.join(repositoryRoot, '.build', 'examples', 'embed.js')]);
    expect(stderr).to.equal('');
    expect(stdout).to.equal('alpha wrote, and beta is uptodate\nbeta serves alone and reads: hello\n');
    expect(exitCode).to.equal(0);
  });

  describe('failover.test.ts survives its primary', () => {
    const example = path.join(repositoryRoot, '.build', 'examples', 'failover.test.js');

    it('under mocha', async () => {
      const mocha = path.join(repositoryRoot, 'node_modules', 'mocha', 'bin', 'mocha.js');
      const { exitCode, stdout } = await runProgram(process.execPath, [mocha, '--no-config', '--reporter', 'spec', example]);
      expect(stdout).to.include('1 passing');
      expect(exitCode).to.equal(0);
    });

    it('under node:test', async () => {
      // Beside the example, so that it finds the package by its name.
      const program = path.join(path.dirname(example), 'failover.node-test.mjs');
      await writeFile(program, `import { describe, it } from 'node:test';\n${await readFile(example, 'utf8')}`);
      try {
        const { exitCode, stdout } = await runProgram(process.execPath, ['--test', '--test-reporter', 'tap', program]);
        expect(stdout).to.include('# pass 1');
        expect(exitCode).to.equal(0);
      } finally {
        await rm(program);
      }
    });
  });
});
