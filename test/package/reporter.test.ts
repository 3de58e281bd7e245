import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { run, runFailing } from './run.ts';

const skipModule = new URL('../support/skip.js', import.meta.url).href;

/** Runs mocha with our reporter on one file of tests. */
class Project {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  async write(source: string): Promise<void> {
    await writeFile(path.join(this.folder, 'example.test.mjs'), `import { skipBecause } from '${skipModule}';\n${source}`);
  }

  get mocha(): [string, ...string[]] {
    const program = path.join(repositoryRoot, 'node_modules/mocha/bin/mocha.js');
    const reporter = path.join(repositoryRoot, 'scripts/mocha-reporter.js');
    return [process.execPath, program, '--no-config', '--reporter', reporter, 'example.test.mjs'];
  }
}

function lastLine(text: string): string | undefined {
  return text.trimEnd().split('\n').at(-1);
}

describe('package: the test report', function () {
  this.timeout(20_000);
  let project: Project;

  before(async () => {
    project = new Project(await mkdtemp(path.join(tmpdir(), 'hotmirror-reporter-')));
  });

  after(() => rm(project.folder, { recursive: true }));

  it('says why a test was skipped, wherever the skip came from', async () => {
    await project.write(`
      it('alone', function () { skipBecause(this, 'no disk'); });
      describe('suite', () => {
        before(function () { skipBecause(this, 'no network'); });
        it('first', () => {});
        describe('inner', () => { it('second', () => {}); });
      });
      describe('each', () => {
        beforeEach(function () { if (this.currentTest.title === 'third') skipBecause(this, 'no luck'); });
        it('third', () => {});
        it('fourth', () => {});
      });`);
    const output = await run(project.folder, ...project.mocha);
    expect(output).to.include('skipped: alone\n  because no disk\n');
    expect(output).to.include('skipped: suite first\n  because no network\n');
    expect(output).to.include('skipped: suite inner second\n  because no network\n');
    expect(output).to.include('skipped: each third\n  because no luck\n');
    expect(lastLine(output)).to.equal('1 passed, 0 failed, 4 skipped');
  });

  it('ends with the tally, and fails, where a test failed', async () => {
    await project.write("it('holds', () => {}); it('breaks', () => { throw new Error('no'); });");
    const failure = await runFailing(project.folder, ...project.mocha);
    expect(failure.code).to.equal(1);
    expect(lastLine(failure.stdout)).to.equal('1 passed, 1 failed, 0 skipped');
  });
});
