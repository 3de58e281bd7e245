import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { run, runFailing } from './run.ts';
import type { Failure } from './run.ts';

const driver = path.join(repositoryRoot, 'scripts/prove.js');

describe('package: the driver of long proofs', function () {
  this.timeout(20_000);
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-prove-'));
    await mkdir(path.join(folder, '.build/test/prove'), { recursive: true });
    await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }');
    await writeProof('steady', 10, 'void seed;');
  });

  afterEach(() => rm(folder, { recursive: true }));

  function writeProof(name: string, target: number, body: string): Promise<void> {
    const source = `export const name = '${name}', unit = 'rounds', target = ${target};\nexport async function run(seed) { ${body} }\n`;
    return writeFile(path.join(folder, `.build/test/prove/${name}.prove.js`), source);
  }

  const prove = (...args: string[]): Promise<string> => run(folder, process.execPath, driver, ...args);
  const proveFailing = (...args: string[]): Promise<Failure> => runFailing(folder, process.execPath, driver, ...args);

  it('goes on where it stopped, up to the target', async () => {
    expect(await prove('--count', '4')).to.equal('steady: seeds 1 to 4, 4 of 10 rounds, run, 0 failed\n');
    expect(await prove('--count', '4')).to.equal('steady: seeds 1 to 8, 8 of 10 rounds, run, 0 failed\n');
    expect(await prove('--count', '4')).to.equal('steady: seeds 1 to 10, 10 of 10 rounds, run, 0 failed\n');
  });

  it('starts again when the code has changed', async () => {
    await prove('--count', '4');
    await writeProof('steady', 10, 'await seed;');
    expect(await prove('--count', '1')).to.equal(
      'steady: the code has changed since seed 4; starting again\nsteady: seeds 1 to 1, 1 of 10 rounds, run, 0 failed\n',
    );
  });

  it('names the seed that failed, goes on, and remembers', async () => {
    await writeProof('shaky', 5, "if (seed === 3) throw new Error('lost a write');");
    const failure = await proveFailing('--only', 'shaky');
    expect(failure.code).to.equal(1);
    expect(failure.stderr).to.include('shaky: seed 3 FAILED').and.include('lost a write').and.include('--only shaky --seed 3');
    expect(failure.stdout).to.equal('shaky: seeds 1 to 5, 5 of 5 rounds, run, 1 failed\n');
    expect(JSON.parse(await readFile(path.join(folder, '.prove/shaky.json'), 'utf8'))).to.deep.include({ done: 5, failedSeeds: [3] });
    expect((await proveFailing('--only', 'shaky')).code).to.equal(1);
  });

  it('runs one seed again without remembering it', async () => {
    await writeProof('shaky', 5, "if (seed === 3) throw new Error('lost a write');");
    expect(await prove('--only', 'shaky', '--seed', '2')).to.equal('shaky: seed 2\nshaky: seed 2 held\n');
    expect((await proveFailing('--only', 'shaky', '--seed', '3')).code).to.equal(1);
  });

  it('explains itself to who asks for what there is not', async () => {
    const unknown = await proveFailing('--only', 'nothing');
    expect(unknown.code).to.equal(2);
    expect(unknown.stderr).to.include('no such proof; there are: steady');
    expect((await proveFailing('--count', 'many')).code).to.equal(2);
    expect((await proveFailing('--frequency', '5')).code).to.equal(2);
  });
});
