import { once } from 'node:events';
import { copyFile, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import type { CliIo, ExitCode } from '../../src/cli/command.ts';
import { main } from '../../src/cli/command-line.ts';
import { errorRemedies, HotMirrorError } from '../../src/errors.ts';
import { loadConfig } from '../../src/node/config.ts';
import type { ControlHandlers, LoggedEvent, MirrorStatus, PlanView } from '../../src/node/control-protocol.ts';
import { openControlSocket } from '../../src/node/control-socket.ts';
import { openSparseFile } from '../../src/node/sparse-file.ts';
import { PreImageLog, preImageLogBytes } from '../../src/mirror/pre-image-log.ts';
import type { PreImageHeader } from '../../src/mirror/pre-image-log.ts';
import { nodePrograms } from '../../src/node/node-programs.ts';
import type { NodePrograms } from '../../src/node/programs.ts';
import { rules } from '../../src/rules.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { FakeMirror } from '../node/fake-mirror.ts';
import { exampleStatus, refusingHandlers } from '../node/fake-node.ts';
import { withFolder } from '../node/temporary-folder.ts';

const example = new URL('../../../test/support/office-pair.json', import.meta.url);

interface Ran {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

const noPrograms: NodePrograms = {
  run: () => Promise.reject(new Error('not expected')),
  init: () => Promise.reject(new Error('not expected')),
  demo: () => Promise.reject(new Error('not expected')),
  simulate: () => Promise.reject(new Error('not expected')),
  timeline: () => Promise.reject(new Error('not expected')),
};

async function run(line: readonly string[], world: Partial<CliIo> = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const code = await main(line, {
    out: (text) => void (out += text),
    outBytes: (bytes) => Promise.resolve(void (out += Buffer.from(bytes).toString('latin1'))),
    err: (text) => void (err += text),
    screen: false,
    hostName: 'somewhere',
    version: '1.2.3',
    clock: new VirtualClock(),
    random: new SeededRandom(1),
    signal: new AbortController().signal,
    onHangUp: () => () => undefined,
    programs: noPrograms,
    ...world,
  });
  return { code, out, err };
}

/** Runs command lines against a node that is not there but answers; `on` appends the configuration. */
async function withNode(
  handlers: Partial<ControlHandlers>,
  use: (on: (...line: string[]) => Promise<Ran>, file: string) => Promise<void>,
  { node = 'north', world = {} }: { readonly node?: string; readonly world?: Partial<CliIo> } = {},
): Promise<void> {
  await withPair(async (file) => {
    const socket = await openControlSocket({
      path: path.join(path.dirname(file), node, 'control.sock'),
      handlers: { ...refusingHandlers, ...handlers },
    });
    try {
      await use((...line) => run([...line, '--config', file], world), file);
    } finally {
      await socket.close();
    }
  });
}

async function withPair(use: (file: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const file = path.join(folder, 'pair.json');
    await copyFile(example, file);
    await use(file);
  });
}

const blockedPlan: PlanView = {
  wish: 'fallback',
  fulfilled: false,
  steps: [{ node: 'south', step: 'promote', text: 'serve files in epoch 4' }],
  blockedBy: [{ rule: 'takeover.dead', because: 'north answers' }],
  mayLose: 'nothing that was acknowledged',
};

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

  describe('regenerate and verify', () => {
    const nothing = { comparedBytes: 4096, differingBytes: 0, unreadableBytes: 0, extents: [], repaired: false };

    it('ask the node, and show how far it is', () => {
      const asked: unknown[] = [];
      const resync = { doneBytes: 2048, totalBytes: 4096, bytesPerSecond: 1024, remainingMs: 2_000 };
      const handlers: Partial<ControlHandlers> = {
        async regenerate(params, { progress }) {
          asked.push(params);
          await progress({ text: 'resync of files', mirror: 'files', resync });
          return { changed: true, text: 'done' };
        },
        verify(params) {
          asked.push(params);
          return Promise.resolve({ ...nothing, changed: false, text: 'nothing differs' });
        },
      };
      return withNode(handlers, async (on) => {
        const { code, out, err } = await on('regenerate', 'files');
        expect([code, out]).to.deep.equal([0, 'done\n']);
        expect(err).to.contain('resync files: 50 %').and.to.contain('left');
        await on('regenerate', 'files', '--full', '--yes');
        expect(await on('verify', 'files')).to.include({ code: 0, out: 'nothing differs\n' });
        await on('verify', 'files', '--repair', '--yes');
        await on('verify', 'files', '--waive', '--yes');
        expect(asked).to.deep.equal([
          { mirror: 'files', full: false },
          { mirror: 'files', full: true },
          { mirror: 'files', wish: 'find' },
          { mirror: 'files', wish: 'repair' },
          { mirror: 'files', wish: 'waive' },
        ]);
      });
    });

    it('exit code 130: Ctrl-C ends a verify on the node, and of a regeneration only the wait, and says so', async () => {
      for (const [command, says] of [
        ['verify', 'the verify of files ends'],
        ['regenerate', 'only the wait has ended'],
      ] as const) {
        const stop = new AbortController();
        const gone: string[] = [];
        const ends = async (_params: unknown, { signal }: { readonly signal: AbortSignal }): Promise<never> => {
          const noticed = once(signal, 'abort');
          stop.abort();
          await noticed;
          gone.push(command);
          throw new HotMirrorError('HM_ABORTED', 'given up');
        };
        await withNode(
          { [command]: ends },
          async (on) => {
            const { code, out, err } = await on(command, 'files');
            expect([code, out]).to.deep.equal([130, '']);
            expect(err).to.contain(says).and.not.to.contain('code:');
          },
          { world: { signal: stop.signal } },
        );
        expect(gone).to.deep.equal([command]);
      }
    });

    it('exit code 5: verify found differences', () =>
      withNode(
        { verify: () => Promise.resolve({ ...nothing, differingBytes: 512, changed: true, text: 'files: 512 bytes differ' }) },
        async (on) => {
          expect(await on('verify', 'files')).to.include({ code: 5, out: 'files: 512 bytes differ\n' });
        },
      ));

    it('say what may be lost and exit with 3 without --yes', () =>
      withNode({}, async (on) => {
        for (const words of [
          ['regenerate', 'files', '--full'],
          ['verify', 'files', '--repair'],
          ['verify', 'files', '--waive'],
        ]) {
          const { code, err } = await on(...words);
          expect(code, words.join(' ')).to.equal(3);
          expect(err).to.contain('--yes');
        }
      }));

    it('exit code 2: no such mirror, wishes that exclude each other', () =>
      withNode({}, async (on) => {
        for (const words of [
          ['regenerate', 'disks'],
          ['regenerate'],
          ['verify', 'disks'],
          ['verify', 'files', '--repair', '--waive', '--yes'],
        ])
          expect((await on(...words)).code, words.join(' ')).to.equal(2);
      }));
  });

  describe('protocol', () => {
    it('asks the node; what promises less says so and exits with 3 without --yes', () => {
      const asked: unknown[] = [];
      const handlers: Partial<ControlHandlers> = {
        protocol(params) {
          asked.push(params);
          return Promise.resolve({ changed: true, toldBoth: true, text: 'switched' });
        },
      };
      return withNode(handlers, async (on) => {
        expect(await on('protocol', 'files', 'sync')).to.include({ code: 0, out: 'switched\n' });
        for (const protocol of ['memsync', 'async']) {
          const { code, err } = await on('protocol', 'files', protocol);
          expect([code, err.includes('may lose data')]).to.deep.equal([3, true]);
          expect(await on('protocol', 'files', protocol, '--yes')).to.include({ code: 0 });
        }
        expect(asked).to.deep.equal(['sync', 'memsync', 'async'].map((protocol) => ({ mirror: 'files', protocol })));
        expect((await on('protocol', 'files', 'C')).code).to.equal(2);
        expect((await on('protocol', 'disks', 'sync')).code).to.equal(2);
      });
    });
  });

  describe('watch and maintenance', () => {
    it('ask the node; exit code 5 where the other one was not told', () => {
      const asked: unknown[] = [];
      const answer = (toldBoth: boolean) => (params: unknown) => {
        asked.push(params);
        return Promise.resolve({ changed: true, toldBoth, text: 'changed' });
      };
      return withNode({ watch: answer(true), maintenance: answer(false) }, async (on) => {
        expect(await on('watch', '--interval', '500')).to.include({ code: 0, out: 'changed\n' });
        expect(await on('watch', '--deadline', '9000', '--interval=300')).to.include({ code: 0 });
        expect(await on('maintenance', '30')).to.include({ code: 5, out: 'changed\n' });
        expect(await on('maintenance', 'off')).to.include({ code: 5 });
        expect(asked).to.deep.equal([
          { intervalMs: 500, deadlineMs: null },
          { intervalMs: 300, deadlineMs: 9_000 },
          { forMs: 1_800_000 },
          { forMs: null },
        ]);
        const bad = [
          ['watch'],
          ['watch', '--interval', 'soon'],
          ['watch', '--deadline', '0'],
          ['maintenance', '0'],
          ['maintenance', '1441'],
        ];
        for (const line of bad) expect(await on(...line), line.join(' ')).to.include({ code: 2, out: '' });
      });
    });
  });

  describe('resolve', () => {
    it('says what may be lost and exits with 3 without --yes', () =>
      withNode({}, async (on) => {
        const { code, err } = await on('resolve', 'files', '--survivor', 'north');
        expect(code).to.equal(3);
        expect(err).to.contain('what south completed alone in files').and.to.contain('kept nowhere').and.to.contain('--yes');
        expect((await on('resolve', 'files', '--survivor', 'north', '--salvage', 'kept')).err).to.contain('kept in kept on south');
      }));

    it('asks the node, with an absolute path for the salvage file', () => {
      const asked: unknown[] = [];
      const resolve = (params: unknown): Promise<{ changed: boolean; text: string }> => {
        asked.push(params);
        return Promise.resolve({ changed: true, text: 'done' });
      };
      return withNode({ resolve }, async (on) => {
        expect(await on('resolve', 'files', '--survivor', 'north', '--yes')).to.include({ code: 0, out: 'done\n' });
        await on('resolve', 'files', '--survivor', 'south', '--salvage', '/kept', '--yes');
        expect(asked).to.deep.equal([
          { mirror: 'files', survivor: 'north', salvage: null },
          { mirror: 'files', survivor: 'south', salvage: '/kept' },
        ]);
      });
    });

    it('exit code 2: no such mirror, no survivor, no such node', () =>
      withNode({}, async (on) => {
        for (const words of [['disks', '--survivor', 'north'], ['files'], ['files', '--survivor', 'west'], []])
          expect((await on('resolve', ...words)).code, words.join(' ')).to.equal(2);
      }));
  });

  describe('salvage', () => {
    const extentBytes = 65_536;
    const header: PreImageHeader = {
      ...{ kind: 'salvage', id: 'a'.repeat(16), mirror: 'files', node: 'south', mirrorId: 'b'.repeat(32), generation: 'c'.repeat(16) },
      ...{ sizeBytes: 4 * extentBytes, extentBytes, time: '2026-01-01T00:00:00.000Z', finished: false },
    };
    const withFile = (use: (file: string) => Promise<void>): Promise<void> =>
      withPair(async (config) => {
        const file = path.join(path.dirname(config), 'kept');
        const { device } = await openSparseFile(file, preImageLogBytes(4, extentBytes));
        const log = await PreImageLog.create(device, header);
        await log.add([3, 1].map((extent) => ({ extent, bytes: new Uint8Array(extentBytes).fill(48 + extent) })));
        await device.close();
        await use(file);
      });

    it('ls says what it holds, without a configuration', () =>
      withFile(async (file) => {
        const { code, out } = await run(['salvage', 'ls', file]);
        expect(code).to.equal(0);
        expect(out).to.contain('salvage of files').and.to.contain('2 extents of 64 KiB').and.to.contain('\n  1\n  3\n');
        expect(JSON.parse((await run(['salvage', 'ls', file, '--json'])).out)).to.deep.include({ schema: 1, header, damaged: [] });
      }));

    it('cat writes the bytes of all extents in the order of the disk, or of one', () =>
      withFile(async (file) => {
        expect((await run(['salvage', 'cat', file])).out).to.equal('1'.repeat(extentBytes) + '3'.repeat(extentBytes));
        expect((await run(['salvage', 'cat', file, '--extent', '3'])).out).to.equal('3'.repeat(extentBytes));
        expect(await run(['salvage', 'cat', file, '--extent', '2'])).to.include({ code: 1, out: '' });
      }));

    it('exit code 5: what is damaged is told of', () =>
      withFile(async (file) => {
        const { device } = await openSparseFile(file, 0);
        // Records below another were durable before it.
        await (await PreImageLog.open(device))?.add([{ extent: 0, bytes: new Uint8Array(extentBytes) }]);
        await device.close();
        const bytes = await readFile(file);
        bytes[8_192 + 4_096 + 9] = 0;
        await writeFile(file, bytes);
        const { code, out } = await run(['salvage', 'ls', file]);
        expect(code).to.equal(5);
        expect(out).to.contain('not whole: extents 3');
      }));

    it('exit code 2: neither ls nor cat, no file, an extent that is no number', () =>
      withFile(async (file) => {
        for (const words of [['dd', file], ['ls'], ['cat', file, '--extent', 'x'], ['cat', file, '--json']])
          expect((await run(['salvage', ...words])).code, words.join(' ')).to.equal(2);
      }));
  });

  it('exit code 1: failed', () =>
    withNode({ recover: () => Promise.reject(new HotMirrorError('HM_STEP_FAILED', 'mount: no such device')) }, async (on) => {
      const { code, err } = await on('recover');
      expect(code).to.equal(1);
      expect(err).to.contain('mount: no such device').and.to.contain('remedy: ');
    }));

  it('an error is JSON on stderr with --json, whatever went wrong', async () => {
    const parsed = async (running: Promise<Ran>): Promise<unknown> => {
      const { out, err } = await running;
      expect(out).to.equal('');
      expect(err.trimEnd().split('\n')).to.have.lengthOf(1);
      return JSON.parse(err);
    };
    const usage = { code: 'HM_USAGE', message: 'no command is called "dance"', remedy: errorRemedies.HM_USAGE };
    expect(await parsed(run(['dance', '--json']))).to.deep.equal(usage);
    const refused = new HotMirrorError('HM_REFUSED', 'south is not healthy', { rule: 'takeover.uptodate' });
    await withNode({ switchover: () => Promise.reject(refused) }, async (on) => {
      const error = (await parsed(on('switchover', '--json'))) as Readonly<Record<string, string>>;
      expect(error).to.include({ code: 'HM_REFUSED', message: 'south is not healthy', rule: 'takeover.uptodate' });
      expect(error['remedy']).to.contain('uptodate');
      expect(await parsed(on('resume', '--json')))
        .to.have.property('remedy')
        .that.contains('--yes');
    });
  });

  describe('status', () => {
    it('prints the state as the contract says', () =>
      withNode({ status: () => Promise.resolve(exampleStatus) }, async (on) => {
        const { code, out, err } = await on('status', '--json');
        expect(JSON.parse(out)).to.deep.equal(exampleStatus);
        expect([code, err]).to.deep.equal([0, '']);
      }));

    it('draws the pair, the home primary on the left', () =>
      withNode({ status: () => Promise.resolve(exampleStatus) }, async (on) => {
        const { out } = await on('status');
        expect(out).to.contain('office: normal mode, epoch 3, control auto, as north sees it');
        expect(out).to.match(/Primary: north ─+┐ +┌ Standby: south/);
        expect(out).to.match(/│ serving +│ +│ up +│/);
        expect(out).to.match(/│ files {2}uptodate +│ ═+▶ │ files {2}uptodate +│/);
        expect(out).to.contain('warning takeover.unfenced');
      }));

    it('tells where an export is as it can be used in any folder, and as the file has it with --json', () => {
      const uri = 'nbd+unix:///files?socket=north/files.nbd';
      const mirrors = exampleStatus.mirrors.map((mirror) => ({ ...mirror, export: uri }));
      return withNode({ status: () => Promise.resolve({ ...exampleStatus, mirrors }) }, async (on, file) => {
        expect((await on('status')).out).to.contain(`, nbd+unix:///files?socket=${path.dirname(file)}/north/files.nbd\n`);
        expect((await on('status', '--json')).out).to.contain(`"${uri}"`);
      });
    });

    it('says which disk is the only one, and the way out of a split', () => {
      const mirrors = exampleStatus.mirrors.map((mirror) => ({ ...mirror, connection: 'split-brain', peerElement: 'outdated' }) as const);
      return withNode({ status: () => Promise.resolve({ ...exampleStatus, mirrors }) }, async (on) => {
        const { out } = await on('status');
        expect(out).to.contain('warning: files is complete on north alone: the other element is outdated');
        expect(out).to.contain('split brain of files: Name the survivor: `hotmirror resolve MIRROR --survivor NODE`');
      });
    });

    it('draws what is wrong', () =>
      withNode(
        {
          status: () =>
            Promise.resolve({
              ...exampleStatus,
              node: 'south',
              home: 'standby',
              serving: false,
              control: 'manual',
              blockedBy: [{ rule: 'takeover.auto', because: 'control is manual' }],
              monitor: { ...exampleStatus.monitor, peer: 'down', links: [{ name: 'net', state: 'down', lastSeenMs: null, rttMs: null }] },
              mirrors: exampleStatus.mirrors.map((mirror) => ({
                ...mirror,
                role: 'target',
                resync: { doneBytes: 2 ** 20, totalBytes: 2 ** 22, bytesPerSecond: 2 ** 19, remainingMs: 65_000 },
              })),
            }),
        },
        async (on) => {
          const { out } = await on('status', '--node', 'south');
          expect(out).to.match(/Primary: north ─+┐ +┌ Standby: south/);
          expect(out).to.match(/│ ═+▶ │/);
          expect(out).to.contain('blocked by takeover.auto: control is manual\n  remedy: Switch to');
          expect(out).to.contain('resync files: 25 %, 1 MiB of 4 MiB, 512 KiB/s, 1 min 5 s left');
          expect(out).to.contain('never seen');
          expect(out).not.to.contain('unfenced');
        },
        { node: 'south' },
      ));

    it('adds with --statistics what each mirror has counted, and asks for it only then', async () => {
      const counters = { ...new FakeMirror().counters(), refusedRequests: 3 };
      const latencyMs = { mean: 1.5, p50: 1, p90: 2, p99: 3, p999: 4, max: 5 };
      const requests = { ...counters.requests, write: { requests: 7, bytes: 4096, errors: 1, latencyMs } };
      const [mirror] = exampleStatus.mirrors as [MirrorStatus];
      const told = {
        ...exampleStatus,
        mirrors: [
          { ...mirror, counters: { ...counters, requests } },
          { ...mirror, name: 'mail', counters: null },
        ],
      };
      const status: ControlHandlers['status'] = ({ statistics }) => Promise.resolve(statistics === true ? told : exampleStatus);
      await withNode({ status }, async (on) => {
        expect(JSON.parse((await on('status', '--json')).out)).to.deep.equal(exampleStatus);
        expect(JSON.parse((await on('status', '--statistics', '--json')).out)).to.deep.equal(told);
        const { out } = await on('status', '--statistics');
        expect(out).to.match(/^ {2}write +7 +4 KiB +1 +1\.50 +1\.00 +2\.00 +3\.00 +4\.00 +5\.00$/mu);
        expect(out).to.contain('3 requests refused').and.contain('statistics of mail: its thread does not tell');
      });
    });

    it('asks either node, the one with the host name first, and only the one that --node names', () =>
      withNode(
        { status: () => Promise.resolve(exampleStatus) },
        async (on) => {
          expect((await on('status')).code).to.equal(0);
          expect((await on('status', '--node', 'south')).code).to.equal(0);
          expect((await on('status', '--node', 'north')).code).to.equal(4);
        },
        { node: 'south', world: { hostName: 'north' } },
      ));

    it('watches until it is told to stop, also through a failure', async () => {
      const clock = new VirtualClock();
      const stop = new AbortController();
      let asked = 0;
      const status: ControlHandlers['status'] = () => {
        asked += 1;
        if (asked === 3) stop.abort();
        return asked === 2 ? Promise.reject(new HotMirrorError('HM_CLOSED', 'stopping')) : Promise.resolve(exampleStatus);
      };
      await withNode(
        { status },
        async (on) => {
          const watching = on('status', '--watch', '--json');
          let done = false;
          void watching.then(() => (done = true));
          // Sockets are real here, time is not.
          const advance = async (): Promise<void> => {
            while (!done) await clock.runFor(100);
          };
          await advance();
          const { code, out, err } = await watching;
          expect(code).to.equal(0);
          expect(out.trimEnd().split('\n').length).to.be.within(1, 2);
          expect(err).to.contain('stopping');
        },
        { world: { clock, signal: stop.signal } },
      );
    });
  });

  describe('events', () => {
    const event: LoggedEvent = {
      schema: 1,
      seq: 1,
      time: '2026-01-02T03:04:05.678Z',
      node: 'north',
      event: 'peer:changed',
      class: 1,
      rule: 'watch.all',
      text: 'south is down',
    };

    it('prints one a line', () =>
      withNode(
        {
          events: async (_, { progress }) => {
            await progress(event);
            await progress({ ...event, seq: 2, mirror: 'files' });
            return null;
          },
        },
        async (on) => {
          expect(
            (await on('events', '--json')).out
              .trimEnd()
              .split('\n')
              .map((line) => JSON.parse(line) as unknown),
          ).to.deep.equal([event, { ...event, seq: 2, mirror: 'files' }]);
          expect((await on('events')).out).to.contain('2026-01-02T03:04:05.678Z north 1 peer:changed         south is down (watch.all)\n');
        },
      ));

    it('follows until it is told to stop', () => {
      const stop = new AbortController();
      return withNode(
        {
          events: async ({ follow }, { progress }) => {
            expect(follow).to.equal(true);
            await progress(event);
            return new Promise(() => undefined);
          },
        },
        async (on) => {
          expect(await on('events', '--follow')).to.include({ code: 0, err: '' });
        },
        {
          world: {
            signal: stop.signal,
            out: () => stop.abort(),
          },
        },
      );
    });
  });

  describe('events --report', () => {
    const event: LoggedEvent = {
      schema: 1,
      seq: 1,
      time: '2026-01-02T03:04:05.678Z',
      node: 'north',
      event: 'takeover:decided',
      class: 0,
      rule: 'takeover.commit',
      text: 'north is about to take over with 2/north: the peer is down',
    };

    it('writes a page for its owner only and says where, and prints no event', () =>
      withNode(
        {
          events: async ({ follow }, { progress }) => {
            expect(follow).to.equal(false);
            await progress(event);
            return null;
          },
        },
        async (on, config) => {
          const file = path.join(path.dirname(config), 'north.html');
          for (const time of ['first', 'again']) {
            expect(await on('events', '--report', file), time).to.deep.equal({ code: 0, out: `1 event is shown in ${file}\n`, err: '' });
          }
          expect(JSON.parse((await on('events', '--report', file, '--json')).out)).to.deep.equal({ file, entries: 1 });
          expect((await stat(file)).mode & 0o777).to.equal(0o600);
          const page = await readFile(file, 'utf8');
          for (const text of [event.text, rules['takeover.commit'], 'What north did']) expect(page).to.include(text);
          expect((await readdir(path.dirname(file))).filter((name) => name.includes('.html'))).to.deep.equal(['north.html']);
        },
        { world: { programs: nodePrograms } },
      ));

    it('refuses to follow, and a file that cannot be written', () =>
      withNode(
        { events: async () => null },
        async (on, config) => {
          const following = await on('events', '--follow', '--report', 'x.html');
          expect([following.code, following.out]).to.deep.equal([2, '']);
          expect(following.err).to.include('without --follow');
          const absent = await on('events', '--report', path.join(path.dirname(config), 'absent', 'x.html'));
          expect([absent.code, absent.out]).to.deep.equal([2, '']);
          expect(absent.err).to.include('cannot be written');
        },
        { world: { programs: nodePrograms } },
      ));

    it('takes the place of no symbolic link, and says so before it asks the node', () =>
      withNode(
        { events: () => Promise.reject(new Error('asked')) },
        async (on, config) => {
          const link = path.join(path.dirname(config), 'link.html');
          await symlink(config, link);
          const { code, err } = await on('events', '--report', link);
          expect(code).to.equal(2);
          expect(err).to.include(`${link} cannot be written: it is a symbolic link`).and.to.include('remedy: Name a file');
          expect((await lstat(link)).isSymbolicLink()).to.equal(true);
        },
        { world: { programs: nodePrograms } },
      ));
  });

  describe('events of a node that does not run', () => {
    const line = (seq: number, text: string): string =>
      JSON.stringify({ schema: 1, seq, time: '2026-01-02T03:04:05.678Z', node: 'north', event: 'peer:changed', class: 0, text });

    /** The pair of the example, and what the log of its north holds. */
    async function withLog(use: (on: (...words: string[]) => Promise<Ran>, stateDir: string) => Promise<void>): Promise<void> {
      await withPair(async (file) => {
        const stateDir = (await loadConfig(file)).config.nodes['north']?.stateDir ?? '';
        await mkdir(stateDir, { recursive: true });
        await writeFile(path.join(stateDir, 'events.1.jsonl'), `${line(1, 'older')}\n`);
        await writeFile(path.join(stateDir, 'events.jsonl'), `${line(2, 'newer')}\n{"schema":1,"seq":3,"te`);
        await use((...words) => run(['events', '--config', file, ...words], { programs: nodePrograms }), stateDir);
      });
    }

    it('come from its state folder, oldest first, without a last line torn by a crash; stderr says so', () =>
      withLog(async (on, stateDir) => {
        const { code, out, err } = await on('--node', 'north', '--json');
        expect(code).to.equal(0);
        expect(out).to.equal(`${line(1, 'older')}\n${line(2, 'newer')}\n`);
        expect(err).to.equal(`hotmirror: north does not run; this is the log in ${stateDir}\n`);
        expect(await readFile(path.join(stateDir, 'events.jsonl'), 'utf8')).to.match(/"te$/u);
      }));

    it('make a report too', () =>
      withLog(async (on, stateDir) => {
        const file = path.join(stateDir, 'north.html');
        const { code, out, err } = await on('--node', 'north', '--report', file);
        expect([code, out]).to.deep.equal([0, `2 events are shown in ${file}\n`]);
        expect(err).to.contain('north does not run');
        expect(await readFile(file, 'utf8')).to.include('What north did');
      }));

    it('are not there for a node without a log here, nor to be followed', () =>
      withLog(async (on) => {
        for (const words of [['--node', 'south'], ['--node', 'north', '--follow'], []]) {
          const { code, out, err } = await on(...words);
          expect([code, out], words.join(' ')).to.deep.equal([4, '']);
          expect(err).to.contain('HM_NO_NODE');
        }
      }));
  });

  describe('wishes', () => {
    it('go to the node, and one already fulfilled is a success', () =>
      withNode(
        {
          adopt: () => Promise.resolve({ changed: false, text: 'north is the home primary already' }),
          control: ({ mode }) => Promise.resolve({ changed: true, text: `control is ${mode}` }),
          recover: async (_, { progress }) => {
            await progress({
              text: 'resync',
              mirror: 'files',
              resync: { doneBytes: 1, totalBytes: 2, bytesPerSecond: 1, remainingMs: null },
            });
            await progress({ text: 'unmount on south' });
            return { changed: true, text: 'north serves' };
          },
        },
        async (on) => {
          expect(await on('adopt')).to.include({ code: 0, out: 'north is the home primary already\n' });
          expect(await on('control', 'manual')).to.include({ code: 0, out: 'control is manual\n', err: '' });
          expect((await on('control', 'auto')).err).to.contain('takeover.unfenced');
          expect(await on('recover')).to.include({
            code: 0,
            out: 'north serves\n',
            err: 'resync files: 50 %, 1 B of 2 B, 1 B/s\nunmount on south\n',
          });
          expect(JSON.parse((await on('recover', '--json')).out)).to.deep.equal({ changed: true, text: 'north serves' });
        },
      ));

    for (const move of ['fallback', 'recover'] as const)
      it(`${move} --force says what may be lost and does nothing without --yes`, () => {
        const wishes: unknown[] = [];
        return withNode(
          {
            plan: () => Promise.resolve(blockedPlan),
            [move]: (params: unknown) => {
              wishes.push(params);
              return Promise.resolve({ changed: true, text: 'south serves' });
            },
          },
          async (on) => {
            const { code, err } = await on(move, '--force');
            expect(code).to.equal(3);
            expect(err)
              .to.contain('blocked by takeover.dead: north answers')
              .and.to.contain('nothing that was acknowledged')
              .and.to.contain('--yes');
            expect((await on(move, '--override', 'takeover.fence')).code).to.equal(3);
            expect(wishes).to.deep.equal([]);
            expect((await on(move, '--force', '--yes', '--override', 'takeover.fence,takeover.arbiter')).code).to.equal(0);
            expect((await on(move)).code).to.equal(0);
            expect(wishes).to.deep.equal([
              { force: true, overrides: ['takeover.fence', 'takeover.arbiter'] },
              { force: false, overrides: [] },
            ]);
          },
        );
      });

    it('plan shows steps and blocks, and changes nothing', () =>
      withNode({ plan: ({ wish }) => Promise.resolve({ ...blockedPlan, wish }) }, async (on) => {
        expect((await on('plan', 'fallback')).out).to.equal(
          'blocked by takeover.dead: north answers\n1.  south  promote  serve files in epoch 4\nby force it may lose: nothing that was acknowledged\n',
        );
        expect(JSON.parse((await on('plan', 'recover', '--json')).out)).to.deep.equal({ ...blockedPlan, wish: 'recover' });
      }));
  });

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

    it('uses what a running node knows: round trips and the home of the pair record', () =>
      withNode({ status: () => Promise.resolve({ ...exampleStatus, home: 'standby' }) }, async (on) => {
        const { code, out } = await on('check');
        expect(code).to.equal(0);
        expect(out).to.contain('round trip 0.4 ms').and.to.contain('the pair record says standby');
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
