import { readdir, symlink } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import type { NodePrograms, SimulateOptions, SimulateVerdict } from '../../src/node/programs.ts';
import { withFolder } from '../node/temporary-folder.ts';
import { noPrograms, run } from './support/command-lines.ts';
import type { Ran } from './support/command-lines.ts';

const verdict: SimulateVerdict = {
  passed: true,
  stopped: false,
  firstSeed: 7,
  held: 1,
  failures: [],
  virtualMs: 1_000,
  acknowledged: 5,
  text: 'every promise held',
};

interface Simulated extends Ran {
  readonly asked: Omit<SimulateOptions, 'clock' | 'random' | 'signal' | 'tell'> | null;
}

async function simulate(line: readonly string[], result: SimulateVerdict = verdict): Promise<Simulated> {
  let asked: Simulated['asked'] = null;
  const programs: NodePrograms = {
    ...noPrograms,
    simulate({ tell, seed, seeds, forMs, schedule, report }: SimulateOptions) {
      asked = { seed, seeds, forMs, schedule, report };
      tell('seed 7');
      return Promise.resolve(result);
    },
  };
  return { ...(await run(['simulate', ...line], { programs })), asked };
}

describe('hotmirror simulate', () => {
  it('runs a hundred fresh seeds where nothing else is said', async () => {
    const { code, out, err, asked } = await simulate([]);
    expect([code, out, err]).to.deep.equal([0, 'seed 7\nevery promise held\n', '']);
    expect(asked).to.deep.equal({ seed: null, seeds: 100, forMs: null, schedule: null, report: null });
  });

  it('reads how many, for how long, and which', async () => {
    expect((await simulate(['--seed', '7'])).asked).to.include({ seed: 7, seeds: null, forMs: null });
    expect((await simulate(['--seed', '7', '--seeds', '20'])).asked).to.include({ seed: 7, seeds: 20 });
    expect((await simulate(['--for', '180'])).asked).to.include({ seed: null, seeds: null, forMs: 180_000 });
    await withFolder(async (folder) => {
      const report = path.join(folder, 'b.html');
      expect((await simulate(['--schedule', 'a.json', '--report', report])).asked).to.include({ schedule: 'a.json', report });
    });
  });

  it('fails where a promise broke', async () => {
    expect(await simulate(['--seed', '7'], { ...verdict, passed: false, text: 'no-lost-write broke' })).to.include({
      code: 1,
      out: 'seed 7\nno-lost-write broke\n',
    });
  });

  it('prints the verdict alone with --json', async () => {
    const { out, err } = await simulate(['--seed', '7', '--json']);
    expect(JSON.parse(out)).to.deep.equal(verdict);
    expect(err).to.equal('seed 7\n');
  });

  it('ends as a program that Ctrl-C ends where it was stopped, and fails where something broke before', async () => {
    const stopped = { ...verdict, passed: false, stopped: true, text: 'stopped: 3 seeds held' };
    expect(await simulate([], stopped)).to.include({ code: 130, out: 'seed 7\nstopped: 3 seeds held\n' });
    const failures = [{}] as unknown as SimulateVerdict['failures'];
    expect(await simulate([], { ...stopped, failures })).to.include({ code: 1 });
  });

  it('runs nothing where the report could not be written in the end', () =>
    withFolder(async (folder) => {
      const link = path.join(folder, 'link.html');
      await symlink('nowhere', link);
      for (const [file, because] of [
        [folder, 'it is a folder'],
        [link, 'it is a symbolic link'],
        [path.join(folder, 'absent', 'x.html'), 'ENOENT'],
        ['', 'needs the name of a file'],
      ] as const) {
        const { code, asked, err } = await simulate(['--seed', '7', '--report', file]);
        expect([code, asked], file).to.deep.equal([2, null]);
        expect(err).to.contain(because).and.to.contain('HM_USAGE');
      }
      expect(await readdir(folder)).to.deep.equal(['link.html']);
    }));

  for (const line of [
    ['--seed', 'x'],
    ['--seed', '-1'],
    ['--seed', '4294967296'],
    ['--seeds', '1.5'],
    ['--seeds', '0'],
    ['--for', ''],
    ['--for', '0'],
    ['--schedule', 'a.json', '--seed', '1'],
    ['--schedule', 'a.json', '--for', '1'],
  ]) {
    it(`refuses: hotmirror simulate ${line.join(' ')}`, async () => {
      const { code, asked, err } = await simulate(line);
      expect([code, asked]).to.deep.equal([2, null]);
      expect(err).to.contain('code: HM_USAGE');
    });
  }
});
