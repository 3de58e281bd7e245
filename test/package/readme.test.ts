import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';

const testLine = 'npm ci && npm test';
const demoLine = 'npm ci && npm run demo';

async function linesOf(file: string): Promise<string[]> {
  return (await readFile(path.join(repositoryRoot, file), 'utf8')).split('\n');
}

describe('package: what the README tells to run', () => {
  it('is the test and the demonstration, each on a line of its own', async () => {
    expect(await linesOf('README.md')).to.include.members([testLine, demoLine]);
  });

  it('is what continuous integration runs', async () => {
    expect(await linesOf('.ci/run')).to.include(testLine);
    await access(path.join(repositoryRoot, '.ci/run'), constants.X_OK);
  });
});
