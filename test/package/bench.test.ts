import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { run, runFailing } from './run.ts';

const driver = path.join(repositoryRoot, 'scripts/bench.js');

describe('package: the driver of benchmarks', function () {
  this.timeout(20_000);
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-bench-test-'));
    await mkdir(path.join(folder, '.build/bench'), { recursive: true });
    await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }');
    const benchmark = "{ name: 'a steady thing', unit: 'rounds', prepare: async () => async () => 1 }";
    await writeFile(path.join(folder, '.build/bench/steady.bench.js'), `console.log('loaded'); export const benchmarks = [${benchmark}];`);
    const report = "{ name: 'shape', print: async (wishes) => console.log(JSON.stringify(wishes)) }";
    await writeFile(path.join(folder, '.build/bench/shape.report.js'), `export const report = ${report};`);
  });

  afterEach(() => rm(folder, { recursive: true }));

  const bench = (...args: string[]): Promise<string> => run(folder, process.execPath, driver, ...args);

  it('runs everything, benchmarks first', async () => {
    expect(await bench('--rounds', '1')).to.match(/median of 1 rounds[^]*\| a steady thing \| rounds \|[^]*## shape/u);
  });

  it('runs what fits, and of a report by its name nothing else, not even at load', async () => {
    expect(await bench('--only', 'steady'))
      .to.include('| a steady thing |')
      .and.not.include('shape');
    const wishes = { rounds: 2, seconds: 0.5, short: true, disk: '/d', svg: 'x.svg' };
    const args = ['--only', 'shape', '--rounds', '2', '--seconds', '0.5', '--short', '--disk', '/d', '--svg', 'x.svg'];
    const printed = await bench(...args);
    expect(printed).to.match(/^\n## shape\n/u);
    expect(JSON.parse(printed.split('\n')[3]!)).to.deep.equal({ ...wishes, command: `npm run bench -- ${args.join(' ')}` });
  });

  it('explains itself to who asks for what there is not', async () => {
    const unknown = await runFailing(folder, process.execPath, driver, '--only', 'nothing');
    expect(unknown.code).to.equal(2);
    expect(unknown.stderr).to.include('there are: a steady thing, shape');
    for (const args of [['--rounds', '0'], ['--seconds', 'many'], ['--frequency']]) {
      expect((await runFailing(folder, process.execPath, driver, ...args)).code).to.equal(2);
    }
  });
});
