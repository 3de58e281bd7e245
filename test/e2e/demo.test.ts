import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { runProgram } from './support/program.ts';
import { ownEnvironment } from '../support/environment.ts';

const command = path.join(repositoryRoot, 'lib', 'cli', 'hotmirror.cjs');

describe('hotmirror demo', function () {
  this.timeout(120_000);

  it('ends with the verdict, loses nothing, and leaves no file and no process behind', async () => {
    const before = await demoFolders();
    const { exitCode, stdout, stderr } = await runProgram(process.execPath, [command, 'demo']);
    expect(stderr).to.equal('');
    expect(stdout.trimEnd().split('\n').at(-1)).to.match(/^verdict: [1-9]\d* acknowledged writes, 0 lost, elements identical$/u);
    expect(exitCode).to.equal(0);
    expect(await demoFolders()).to.deep.equal(before);
    const { stdout: processes } = await runProgram('ps', ['-eo', 'args']);
    expect(processes).not.to.include('demo-node.js');
  });

  it('says that it was stopped, and leaves nothing behind then either', async () => {
    const before = await demoFolders();
    const { exitCode, stdout, stderr } = await interrupted();
    expect(stderr).to.equal('');
    expect(stdout.trimEnd().split('\n').at(-1)).to.match(/^stopped after [\d.]+ s, before the verdict$/u);
    expect(exitCode).to.equal(130);
    expect(await demoFolders()).to.deep.equal(before);
  });
});

/** Ends it as Ctrl-C does, once it has told something. */
async function interrupted(): Promise<{ readonly exitCode: unknown; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [command, 'demo'], { env: ownEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (stdout === '') child.kill('SIGINT');
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exitCode = await new Promise((resolve) => child.once('close', resolve));
  return { exitCode, stdout, stderr };
}

async function demoFolders(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith('hotmirror-demo-'));
}
