import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';

import { expect } from 'chai';

import { skipBecause } from '../support/skip.ts';
import { CommandPair } from './support/command-pair.ts';

const ownThreads = '/proc/self/task';
const poolThreads = 64;

describe("A node's thread pool", function () {
  this.timeout(120_000);

  it('has threads enough that a disk that hangs leaves some to the state files', async function () {
    if (!existsSync(ownThreads)) skipBecause(this, `there is no ${ownThreads} to count threads by`);
    const pair = await CommandPair.initialised();
    try {
      const { pid } = await pair.run('alpha');
      expect(await readdir(`/proc/${String(pid)}/task`)).to.have.lengthOf.above(poolThreads);
    } finally {
      await pair.end();
    }
  });
});
