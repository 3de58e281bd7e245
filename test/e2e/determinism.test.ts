import path from 'node:path';

import { expect } from 'chai';

import { skipBecause } from '../support/skip.ts';
import { findNode } from './support/find-node.ts';
import { runProgram } from './support/program.ts';
import { digestOf, simulationLog } from './support/simulation-log.ts';

const majors = [20, 22, 24];
const seeds = Array.from({ length: 20 }, (_, index) => index + 1);
const program = path.join(import.meta.dirname, 'support', 'simulation-log.js');

async function output(node: string, ...args: readonly string[]): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await runProgram(node, [program, ...args]);
  expect(stderr).to.equal('');
  expect(exitCode).to.equal(0);
  return stdout.trimEnd().split('\n');
}

describe('the same seed gives the same log, byte for byte', function () {
  this.timeout(120_000);
  let digests: readonly string[];

  /** Compares first by digest; where that differs, by the first entry that does. */
  async function compare(node: string): Promise<void> {
    const others = await output(node, ...seeds.map(String));
    for (const [index, seed] of seeds.entries()) {
      if (others[index] === digests[index]) continue;
      const [here, there] = [await simulationLog(seed), await output(node, '--log', String(seed))];
      const at = here.findIndex((line, number) => line !== there[number]);
      expect(there[at], `seed ${seed}, line ${at + 1}`).to.equal(here[at]);
      expect.fail(`the logs of seed ${seed} differ: ${String(digests[index])} here, ${String(others[index])} there`);
    }
  }

  before(async () => {
    const all: string[] = [];
    for (const seed of seeds) all.push(digestOf(await simulationLog(seed)));
    digests = all;
  });

  it('twice in a row', async () => {
    for (const [index, seed] of seeds.entries()) expect(digestOf(await simulationLog(seed)), `seed ${seed}`).to.equal(digests[index]);
  });

  it('and different seeds give different logs', () => {
    expect(new Set(digests).size).to.equal(seeds.length);
  });

  it('in a process of its own', () => compare(process.execPath));

  for (const major of majors)
    it(`on Node ${major}`, async function () {
      const node = await findNode(major);
      if (node === null) skipBecause(this, `Node ${major} is not installed; run npm run nodes`);
      await compare(node);
    });
});
