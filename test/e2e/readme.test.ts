import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import { DemoPair } from '../../src/node/demo/demo-pair.ts';
import { repositoryRoot } from '../support/repository.ts';
import { runProgram } from './support/program.ts';

const sizeBytes = 4_194_304;

/** The programs of the README, in their order. */
async function programs(): Promise<readonly string[]> {
  const text = await readFile(path.join(repositoryRoot, 'README.md'), 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gmsu)].map(([, source]) => source ?? '');
}

describe('the programs in the README', function () {
  this.timeout(60_000);

  it('starts a node, waits until it serves, writes and stops', async () => {
    const [source = ''] = await programs();
    expect(source).to.include("from 'hotmirror/node'");
    // Within the package, so that it finds it by its name.
    const program = path.join(repositoryRoot, '.build', 'readme-program.mjs');
    await writeFile(program, source);
    const pair = await DemoPair.create({
      clock: systemClock,
      random: systemRandom,
      sizeBytes,
      intervalMs: 200,
      deadlineMs: 1_000,
      onEvent: () => undefined,
    });
    try {
      await pair.start('beta');
      const { exitCode, stderr } = await runProgram(process.execPath, [program], { cwd: pair.folder });
      expect(stderr).to.equal('');
      expect(exitCode).to.equal(0);
    } finally {
      await pair.remove();
      await rm(program);
    }
  });

  it('script a failover as the example does, which is run', async () => {
    const [, source] = await programs();
    expect(source).to.equal(await readFile(path.join(repositoryRoot, 'examples', 'failover.test.ts'), 'utf8'));
  });
});
