import { readFile, writeFile } from 'node:fs/promises';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { NodePrograms } from '../../src/node/programs.ts';
import { exampleStatus } from '../node/fake-node.ts';
import { noPrograms, run, withNode, withPair } from './support/command-lines.ts';
import type { Ran } from './support/command-lines.ts';

describe('command line', () => {
  it('explains itself', async () => {
    const { code, out } = await run(['--help']);
    expect(code).to.equal(0);
    for (const name of [
      'check',
      'init',
      'run',
      'status',
      'events',
      'control',
      'fallback',
      'recover',
      'switchover',
      'adopt',
      'plan',
      'demo',
      'simulate',
    ])
      expect(out).to.contain(`\n  ${name}`);
    expect((await run(['fallback', '--help'])).out).to.contain('hotmirror fallback [--force]');
    expect(await run(['--version'])).to.include({ code: 0, out: '1.2.3\n' });
  });

  describe('COMMAND --help', () => {
    const helpOf = async (name: string): Promise<string> => (await run([name, '--help'])).out;

    it('gives each of its own options a line, with the unit of its value and what holds without it', async () => {
      const simulate = await helpOf('simulate');
      for (const line of [
        /^ {2}--seed N +the first seed, 0 to 4294967295; .*default: a fresh one$/mu,
        /^ {2}--seeds COUNT +.*default: 100/mu,
        /^ {2}--for SECONDS +.*in seconds of real time, .*default: no limit$/mu,
        /^ {2}--schedule FILE\.json +./mu,
        /^ {2}--report FILE\.html +./mu,
      ])
        expect(simulate).to.match(line);
      expect(await helpOf('events')).to.match(/^ {2}--follow +./mu);
    });

    it('lists of the options that all commands accept those that mean something to this one', async () => {
      const common = ['--config', '--node', '--json', '--yes', '--help'];
      const listed = async (name: string): Promise<readonly string[]> => {
        const lines = (await helpOf(name)).split('\n');
        return common.filter((option) => lines.some((line) => line.startsWith(`  ${option}`)));
      };
      expect(await listed('simulate')).to.deep.equal(['--json', '--help']);
      expect(await listed('events')).to.deep.equal(['--config', '--node', '--json', '--help']);
      expect(await listed('run')).to.deep.equal(['--config', '--node', '--help']);
      expect(await listed('fallback')).to.deep.equal(common);
    });

    it('names in its first line every option that has a line', async () => {
      for (const name of ['check', 'init', 'run', 'status', 'events', 'fallback', 'resume', 'plan', 'demo', 'simulate']) {
        const [first = '', ...lines] = (await helpOf(name)).split('\n');
        const options = lines.flatMap((line) => /^ {2}(--[a-z]+)/u.exec(line)?.[1] ?? []);
        for (const option of options.filter((each) => !['--help', '--yes'].includes(each))) expect(first, name).to.include(option);
      }
    });
  });

  describe('exit code 2', () => {
    const lines: readonly (readonly [readonly string[], string])[] = [
      [[], 'which command?'],
      [['dance'], 'no command is called "dance"'],
      [['--config', 'x', 'status'], 'the command comes first'],
      [['drill', '--config', 'x'], 'drill is not in this version'],
      [['status'], 'status needs --config FILE'],
      [['status', '--config'], '--config'],
      [['status', '--force'], '--force'],
      [['status', 'now', '--config', 'x'], 'usage: hotmirror status'],
      [['control', 'maybe', '--config', 'x'], 'usage: hotmirror control auto|manual'],
      [['maintenance', '--config', 'x'], 'usage: hotmirror maintenance MINUTES|off'],
      [['status', '--config', '/does/not/exist.json'], 'cannot be read'],
    ];
    for (const [line, text] of lines) {
      it(`for: hotmirror ${line.join(' ')}`, async () => {
        const { code, out, err } = await run(line);
        expect([code, out]).to.deep.equal([2, '']);
        expect(err).to.contain(text);
      });
    }

    it('for an option with a value that is given twice, because one of them would be lost', async () => {
      const { code, err } = await run(['fallback', '--override', 'takeover.dead', '--override', 'takeover.fence', '--config', 'x']);
      expect(code).to.equal(2);
      expect(err).to.contain('fallback: --override is given more than once');
      expect((await run(['simulate', '--seed', '7', '--seed=8'])).err).to.contain('simulate: --seed is given more than once');
      expect((await run(['--json', '--json'])).err).not.to.contain('more than once');
    });

    it('for a configuration that is not valid, with every path', () =>
      withPair(async (file) => {
        const bent = (await readFile(file, 'utf8')).replace('"deadlineMs": 1000', '"deadlineMs": 300').replace('"auto"', '"maybe"');
        await writeFile(file, bent);
        const { code, err } = await run(['check', '--config', file]);
        expect(code).to.equal(2);
        expect(err)
          .to.contain('\n  monitor.deadlineMs: must be at least 2 × intervalMs\n')
          .and.to.contain('failover.control: must be "auto" or "manual"');
      }));

    it('for a node that is not there, and for run without knowing which node', () =>
      withPair(async (file) => {
        expect((await run(['status', '--config', file, '--node', 'east'])).code).to.equal(2);
        expect((await run(['run', '--config', file, '--node', 'east'])).code).to.equal(2);
        const { code, err } = await run(['run', '--config', file]);
        expect(code).to.equal(2);
        expect(err).to.contain('this host is called "somewhere"').and.to.contain('--node north');
      }));

    it('for a rule that is not there', () =>
      withPair(async (file) => {
        const { code, err } = await run(['fallback', '--override', 'takeover.dead,nonsense', '--config', file]);
        expect(code).to.equal(2);
        expect(err).to.contain('no rule is called "nonsense"');
      }));
  });

  it('exit code 4: no node answers', () =>
    withPair(async (file) => {
      for (const line of [
        ['status'],
        ['events'],
        ['control', 'auto'],
        ['fallback'],
        ['fallback', '--force'],
        ['recover'],
        ['switchover'],
        ['adopt'],
        ['plan', 'recover'],
      ]) {
        const { code, err } = await run([...line, '--config', file]);
        expect(code, line.join(' ')).to.equal(4);
        expect(err).to.contain('no node answers').and.to.contain('remedy: ');
      }
    }));

  it('exit code 3: refused, with rule and remedy', () =>
    withNode(
      { switchover: () => Promise.reject(new HotMirrorError('HM_REFUSED', 'south is not healthy', { rule: 'takeover.uptodate' })) },
      async (on) => {
        const { code, out, err } = await on('switchover');
        expect([code, out]).to.deep.equal([3, '']);
        expect(err).to.match(/^hotmirror: south is not healthy\ncode: HM_REFUSED\nrule: takeover.uptodate: .+\nremedy: Wait until .+\n$/);
      },
    ));

  it('tells who wants a switchover away from a dead node how to take over', () =>
    withNode(
      { switchover: () => Promise.reject(new HotMirrorError('HM_REFUSED', 'the other node does not answer', { rule: 'handover' })) },
      async (on) => {
        expect((await on('switchover')).err).to.match(/remedy: .*`hotmirror fallback`, or `hotmirror recover --force --yes`/u);
      },
    ));

  describe('check', () => {
    it('prints worst case and rules; a warning breaks nothing', () =>
      withPair(async (file) => {
        const { code, out } = await run(['check', '--config', file]);
        expect(code).to.equal(0);
        expect(out)
          .to.match(/worst-case failover +1,200 ms/)
          .and.to.match(/detection +1,200 ms +a deadline and an interval/);
        for (const rule of ['timing.deadline', 'timing.grace', 'timing.lease']) expect(out).to.match(new RegExp(`kept +${rule}`));
        expect(out).to.match(/WARNING +takeover\.unfenced/);
        expect(JSON.parse((await run(['check', '--config', file, '--json'])).out)).to.have.nested.property('worstCase.failoverMs', 1200);
      }));

    it('warns of an export that one node lacks', () =>
      withPair(async (file) => {
        await writeFile(file, (await readFile(file, 'utf8')).replace(/, "south": "nbd[^"]*"/u, ''));
        const { code, out } = await run(['check', '--config', file]);
        expect(code).to.equal(0);
        expect(out).to.contain('WARNING  mirror files has no export on south');
        expect(JSON.parse((await run(['check', '--config', file, '--json'])).out))
          .to.have.property('warnings')
          .with.length(1);
      }));

    it('ends with 5 when a timing rule is broken', () =>
      withPair(async (file) => {
        await writeFile(file, (await readFile(file, 'utf8')).replace('"intervalMs": 200', '"intervalMs": 200, "leaseMs": 100'));
        const { code, out } = await run(['check', '--config', file]);
        expect(code).to.equal(5);
        expect(out).to.match(/BROKEN +timing\.lease/);
      }));

    it('uses what a running node knows: round trips, the home of the pair record and the times in force', () => {
      const monitor = { ...exampleStatus.monitor, times: { intervalMs: 300, deadlineMs: 3_000 } };
      return withNode({ status: () => Promise.resolve({ ...exampleStatus, home: 'standby', monitor }) }, async (on) => {
        const { code, out } = await on('check');
        expect(code).to.equal(0);
        expect(out).to.contain('round trip 0.4 ms').and.to.contain('the pair record says standby');
        expect(out).to.contain('north runs with an interval of 300 ms and a deadline of 3,000 ms');
      });
    });

    it('tells of a detector that learns what it bears at most', () =>
      withPair(async (file) => {
        await writeFile(file, (await readFile(file, 'utf8')).replace('"intervalMs": 200', '"intervalMs": 200, "detector": "phi-accrual"'));
        const { out } = await run(['check', '--config', file]);
        expect(out).to.match(/detection +3,200 ms +the longest that phi-accrual bears, maxDeadlineMs, and an interval/);
      }));
  });

  describe('run, init and demo', () => {
    it('run: takes the node with the host name, says ready, warns, and ends with 0', () =>
      withPair(async (file) => {
        const programs: NodePrograms = {
          ...noPrograms,
          run: ({ node, ready, warn }) => {
            expect(node).to.equal('south');
            warn('takeover.unfenced');
            ready();
            return Promise.resolve();
          },
        };
        const { code, out, err } = await run(['run', '--config', file], { hostName: 'south', programs });
        expect([code, out]).to.deep.equal([0, `node south of pair office is ready, process ${String(process.pid)}\n`]);
        expect(err).to.contain('takeover.unfenced');
      }));

    it('init: prints what was made; --force says what is forgotten and needs --yes; a missing key is a refusal', () =>
      withPair(async (file) => {
        const forces: boolean[] = [];
        const init: NodePrograms['init'] = ({ node, force }) => {
          forces.push(force);
          if (node === 'south') return Promise.reject(new HotMirrorError('HM_KEY_MISSING', 'copy it from north'));
          return Promise.resolve({
            node,
            home: 'primary',
            key: 'created',
            mirrors: [{ name: 'files', sizeBytes: 2 ** 26, element: 'data', metadata: '/x/files.meta' }],
          });
        };
        const on = (...line: string[]): Promise<Ran> => run(['init', '--config', file, ...line], { programs: { ...noPrograms, init } });
        const { code, out } = await on('--node', 'north');
        expect(code).to.equal(0);
        expect(out).to.contain('key file created').and.to.contain('64 MiB').and.to.contain('what it holds is the data');
        expect(await on('--node', 'north', '--force')).to.include({ code: 3, out: '' });
        expect((await on('--node', 'north', '--force')).err).to.contain('forgotten');
        expect((await on('--node', 'north', '--force', '--yes')).code).to.equal(0);
        expect(forces).to.deep.equal([false, true]);
        const refused = await on('--node', 'south');
        expect(refused.code).to.equal(3);
        expect(refused.err).to.contain('copy it from north');
      }));

    it('demo: ends by its verdict', async () => {
      const demo = (passed: boolean): Promise<Ran> =>
        run(['demo'], {
          programs: { ...noPrograms, demo: ({ tell }) => (tell('killed'), Promise.resolve({ passed, stopped: false, text: 'verdict' })) },
        });
      expect(await demo(true)).to.deep.equal({ code: 0, out: 'killed\nverdict\n', err: '' });
      expect((await demo(false)).code).to.equal(1);
      const stopped = { ...noPrograms, demo: () => Promise.resolve({ passed: false, stopped: true, text: 'stopped' }) };
      expect(await run(['demo'], { programs: stopped })).to.include({ code: 130, out: 'stopped\n' });
    });
  });
});
