import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { runProgram } from './support/program.ts';

const command = path.join(repositoryRoot, 'lib', 'cli', 'main.js');
/** For a quick run of one's own, less will do. */
const seconds = Number(process.env['HOTMIRROR_SWARM_SECONDS'] ?? 180);
/** The same seeds each time, as long as not ten thousand fresh ones have held in a row: until then a broken one must mean a change. */
const seeds = ['--seed', '1', '--seeds', '3000'];
/** What is still running when time is up, and shrinking what broke. */
const slackSeconds = 600;
const msPerSecond = 1_000;

describe('the swarm', function () {
  this.timeout((seconds + slackSeconds) * msPerSecond);

  it(`breaks no promise in ${String(seconds)} seconds of seeds`, async () => {
    const { exitCode, stdout, stderr } = await runProgram(process.execPath, [command, 'simulate', ...seeds, '--for', String(seconds)]);
    if (exitCode !== 0) throw new Error(`${stdout}${stderr}`);
    const lines = stdout.trimEnd().split('\n');
    console.log(`      ${lines[0] ?? ''}\n      ${lines.at(-1) ?? ''}`);
    expect(Number(/^(\d+) seeds held, 0 broken/u.exec(lines.at(-1) ?? '')?.[1])).to.be.greaterThan(0);
  });
});
