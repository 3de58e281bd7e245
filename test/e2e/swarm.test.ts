import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { runProgram } from './support/program.ts';

const command = path.join(repositoryRoot, 'lib', 'cli', 'main.js');
/** For a quick run of one's own, less will do. */
const seconds = Number(process.env['HOTMIRROR_SWARM_SECONDS'] ?? 180);
/** What is still running when time is up, and shrinking what broke. */
const slackSeconds = 600;
const msPerSecond = 1_000;

/**
 * Seeds that no other state of the code was run with, and the same ones for the same state: no change meets seeds that are known to hold, and whoever
 * looks at a broken run has it again.
 */
function firstSeed(): number {
  const sources = path.join(repositoryRoot, 'src');
  const files = readdirSync(sources, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const hash = createHash('sha256');
  for (const file of files.sort()) hash.update(`${file}\0`).update(readFileSync(path.join(sources, file)));
  return hash.digest().readUInt32BE() >>> 1;
}

describe('the swarm', function () {
  this.timeout((seconds + slackSeconds) * msPerSecond);

  it(`breaks no promise in ${String(seconds)} seconds of fresh seeds`, async () => {
    const { exitCode, stdout, stderr } = await runProgram(process.execPath, [
      ...[command, 'simulate', '--seed', String(firstSeed()), '--for', String(seconds)],
    ]);
    if (exitCode !== 0) throw new Error(`${stdout}${stderr}`);
    const lines = stdout.trimEnd().split('\n');
    console.log(`      ${lines[0] ?? ''}\n      ${lines.at(-1) ?? ''}`);
    expect(Number(/^(\d+) seeds held, 0 broken/u.exec(lines.at(-1) ?? '')?.[1])).to.be.greaterThan(0);
  });
});
