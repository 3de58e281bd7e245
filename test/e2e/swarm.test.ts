import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { runProgram } from './support/program.ts';

const built = path.join(repositoryRoot, 'lib');
const command = path.join(built, 'cli', 'hotmirror.cjs');
/** For a quick run of one's own, less will do. */
const seconds = Number(process.env['HOTMIRROR_SWARM_SECONDS'] ?? 180);
/** What is still running when time is up, and shrinking what broke. */
const slackSeconds = 600;
const msPerSecond = 1_000;

/** Seeds that no other state of the code was run with, and the same each time for this one: a broken seed can be had again. */
function freshSeed(): string {
  const hash = createHash('sha256');
  const files = readdirSync(built, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));
  for (const file of files.sort()) hash.update(`${file}\0`).update(readFileSync(path.join(built, file)));
  return String(hash.digest().readUInt32LE());
}

describe('the swarm', function () {
  this.timeout((seconds + slackSeconds) * msPerSecond);

  it(`breaks no promise in ${String(seconds)} seconds of fresh seeds`, async () => {
    const { exitCode, stdout, stderr } = await runProgram(process.execPath, [
      command,
      'simulate',
      '--seed',
      freshSeed(),
      '--for',
      String(seconds),
    ]);
    if (exitCode !== 0) throw new Error(`${stdout}${stderr}`);
    const lines = stdout.trimEnd().split('\n');
    console.log(`      ${lines[0] ?? ''}\n      ${lines.at(-1) ?? ''}`);
    expect(Number(/^(\d+) seeds held, 0 broken/u.exec(lines.at(-1) ?? '')?.[1])).to.be.greaterThan(0);
  });
});
