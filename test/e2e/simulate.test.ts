import { readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import type { SimulateVerdict } from '../../src/node/programs.ts';
import { withFolder } from '../node/temporary-folder.ts';
import { repositoryRoot } from '../support/repository.ts';
import { runProgram } from './support/program.ts';
import type { ProgramResult } from './support/program.ts';
import { ownEnvironment } from '../support/environment.ts';

const command = path.join(repositoryRoot, 'lib', 'cli', 'hotmirror.cjs');

function simulate(...args: readonly string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, [command, 'simulate', ...args]);
}

/** What a verdict has of real time. */
function untimed(text: string): string {
  return text.replace(/[\d.]+ seeds\/s|in [\d.]+ s/gu, '');
}

describe('hotmirror simulate', function () {
  this.timeout(120_000);

  it('runs seeds on every core and counts them', async () => {
    const { exitCode, stdout, stderr } = await simulate('--seed', '1', '--seeds', '6');
    expect(stderr).to.equal('');
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).to.match(/^first seed 1, then the next ones; \d+ threads$/u);
    expect(lines.at(-1)).to.match(/^6 seeds held, 0 broken, [\d.]+ virtual hours, \d+ requests acknowledged, [\d.]+ seeds\/s$/u);
    expect(exitCode).to.equal(0);
  });

  it('gives the same run for the same seed', async () => {
    const [one, two] = [await simulate('--seed', '77', '--json'), await simulate('--seed', '77', '--json')];
    expect(untimed(one.stdout)).to.equal(untimed(two.stdout));
    expect(one.stderr).to.equal('seed 77\n');
    expect(JSON.parse(one.stdout)).to.include({ passed: true, firstSeed: 77, held: 1 });
  });

  it('fails with a report where something goes wrong', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'schedule.json');
      await writeFile(file, JSON.stringify(partitioned));
      const { exitCode, stdout } = await simulate('--schedule', file);
      expect(exitCode).to.equal(1);
      expect(stdout)
        .to.contain('the schedule broke one-owner')
        .and.to.contain('last events:')
        .and.to.contain('nothing more can be left out');
      const json = JSON.parse((await simulate('--schedule', file, '--json')).stdout) as SimulateVerdict;
      expect(json.failures[0]?.shrunk?.schedule.steps.map(({ do: what }) => what)).to.deep.equal(['cut', 'run']);
    }));

  it('writes a report that names the broken promise once, and refuses a bad place for it before the run', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'schedule.json');
      await writeFile(file, JSON.stringify(partitioned));
      const report = path.join(folder, 'report.html');
      await simulate('--schedule', file, '--report', report);
      const note = /<p class="note">([^<]*)<\/p>/u.exec(await readFile(report, 'utf8'))?.[1] ?? '';
      expect(note).to.match(/^one-owner: (?!one-owner)./u);
      await symlink('elsewhere', path.join(folder, 'link.html'));
      const refused = await simulate('--seed', '1', '--report', path.join(folder, 'link.html'));
      expect([refused.exitCode, refused.stdout]).to.deep.equal([2, '']);
    }));

  it('stops in order: says what was run, and ends as what Ctrl-C ends', async () => {
    const { spawn } = await import('node:child_process');
    const child = spawn(process.execPath, [command, 'simulate', '--for', '100'], {
      env: ownEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (stdout.includes('threads')) child.kill('SIGINT');
    });
    const exitCode = await new Promise((resolve) => child.once('close', resolve));
    expect(exitCode).to.equal(130);
    expect(stdout.trimEnd().split('\n').at(-1)).to.match(/^stopped: \d+ seeds held, 0 broken, [\d.]+ virtual hours/u);
  });
});

/** Breaks what it promises: no partition. Without a link, an arbiter or a fence, two owners are what this policy makes of it. */
const partitioned = {
  version: 1,
  options: { seed: 3, partitions: false, policy: { whenAlone: 'continue' }, times: { deadlineMs: 1_000 }, workload: {} },
  steps: [
    { do: 'run', forMs: 100 },
    { do: 'cut', link: 'all' },
    { do: 'run', forMs: 9_000 },
  ],
};
