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
});
