import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import type { StepCommand } from '../../src/platform/command.ts';
import { commandPlatform } from '../../src/platform/command.ts';
import type { PlatformActions, PlatformStep, StepContext } from '../../src/platform/platform-actions.ts';

const never = new AbortController().signal;
const node = process.execPath;

function contextOf(step: PlatformStep): StepContext {
  return { node: 'alpha', peer: 'beta', step, reason: 'takeover: "beta" is down; $HOME', epoch: 7, mirrors: ['m0', 'm1'] };
}

function platformOf(step: PlatformStep, command: StepCommand): PlatformActions {
  return commandPlatform({ [step]: command }, systemClock);
}

async function run(step: PlatformStep, command: StepCommand, signal = never): Promise<HotMirrorError | null> {
  try {
    await platformOf(step, command).actions[step]?.run(contextOf(step), signal);
    return null;
  } catch (error) {
    return error as HotMirrorError;
  }
}

const exits = (code: number): readonly string[] => [node, '-e', `process.exit(${String(code)})`];

describe('commandPlatform', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hotmirror-command-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('tells a step what it needs to know, in the environment, without a shell', async () => {
    const file = join(folder, 'environment');
    const write = `require('fs').writeFileSync(${JSON.stringify(file)}, JSON.stringify([process.env, process.argv[1]]))`;
    expect(await run('mount', { argv: [node, '-e', write, '$(echo expanded)'] })).to.equal(null);
    const [environment, argument] = JSON.parse(await readFile(file, 'utf8')) as [Record<string, string>, string];
    expect(environment).to.include({
      HOTMIRROR_STEP: 'mount',
      HOTMIRROR_NODE: 'alpha',
      HOTMIRROR_PEER: 'beta',
      HOTMIRROR_REASON: 'takeover: "beta" is down; $HOME',
      HOTMIRROR_EPOCH: '7',
      HOTMIRROR_MIRRORS: 'm0 m1',
    });
    expect(argument).to.equal('$(echo expanded)');
  });

  it('fails with what the program said last, of which it keeps a bounded tail', async () => {
    const noise = `process.stdout.write('x'.repeat(100000)); process.stderr.write('no such device\\n'); process.exitCode = 3`;
    const error = await run('attach', { argv: [node, '-e', noise] });
    expect(error?.code).to.equal('HM_STEP_FAILED');
    expect(error?.message).to.equal('attach exited with 3: no such device');
    expect(error?.details).to.include({ exitCode: 3, stderrTail: 'no such device\n' });
    expect(error?.details?.['stdoutTail']).to.have.length(4096);
  });

  it('takes exit code 1 of fsck for success, since errors were corrected, and can be told others', async () => {
    expect(await run('fsck', { argv: exits(1) })).to.equal(null);
    expect((await run('fsck', { argv: exits(4) }))?.code).to.equal('HM_STEP_FAILED');
    expect((await run('fsck', { argv: exits(1), successCodes: [0] }))?.code).to.equal('HM_STEP_FAILED');
    expect((await run('mount', { argv: exits(1) }))?.code).to.equal('HM_STEP_FAILED');
    expect(await run('mount', { argv: exits(32), successCodes: [0, 32] })).to.equal(null);
  });

  it('takeover.fence: only exit code 0 of a fence is success, whatever is configured', async () => {
    expect(await run('fence', { argv: exits(0), successCodes: [7] })).to.equal(null);
    expect((await run('fence', { argv: exits(7), successCodes: [7] }))?.code).to.equal('HM_STEP_FAILED');
    expect(platformOf('fence', { argv: exits(0) }).capabilities.fence).to.equal(true);
    expect(platformOf('mount', { argv: exits(0) }).capabilities.fence).to.equal(false);
  });

  it('reports a program that cannot be started', async () => {
    const error = await run('mount', { argv: [join(folder, 'missing')] });
    expect(error?.code).to.equal('HM_STEP_FAILED');
    expect(error?.message).to.include('could not be started');
  });

  it('ends the whole process group of a step that takes too long, even one that ignores the first request', async () => {
    const file = join(folder, 'child');
    // The program ignores SIGTERM, and so does what it starts.
    const stubborn = `process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000);`;
    const parent = `${stubborn} const child = require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(stubborn)}]);
      require('fs').writeFileSync(${JSON.stringify(file)}, String(child.pid));`;
    const error = await run('mount', { argv: [node, '-e', parent], deadlineMs: 1_500 });
    expect(error?.code).to.equal('HM_STEP_TIMEOUT');
    const child = Number(await readFile(file, 'utf8'));
    // The group was signalled together; the kernel takes its time on a busy machine, and until its parent collects it, the child may show up as a zombie.
    const ended = async (): Promise<boolean> =>
      /^gone$|\) [ZX] /.test(await readFile(`/proc/${String(child)}/stat`, 'utf8').catch(() => 'gone'));
    while (!(await ended())) await sleep(systemClock, 20);
  }).timeout(10_000);

  it('gives up when its caller does', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const outcome = run('mount', { argv: [node, '-e', 'setInterval(() => undefined, 1000)'] }, abort.signal);
    abort.abort(reason);
    expect(await outcome).to.equal(reason);
    expect(await run('mount', { argv: exits(0) }, abort.signal)).to.equal(reason);
  });

  it('does not wait for a daemon that a step left behind with its output', async () => {
    const daemon = `require('child_process').spawn(process.execPath, ['-e', 'setTimeout(() => undefined, 3000)'], { stdio: 'inherit' }).unref(); process.exit(0)`;
    const startedMs = systemClock.nowMs();
    expect(await run('startServices', { argv: [node, '-e', daemon] })).to.equal(null);
    expect(systemClock.nowMs() - startedMs).to.be.below(2_500);
  });

  it('probes: 0 is in effect, 1 is not, anything else tells nothing', async () => {
    const probe = async (code: number): Promise<unknown> =>
      platformOf('mount', { argv: exits(0), probe: { argv: exits(code) } }).actions.mount?.probe?.(contextOf('mount'), never);
    expect([await probe(0), await probe(1), await probe(2)]).to.deep.equal([true, false, null]);
    expect(platformOf('mount', { argv: exits(0) }).actions.mount).to.not.have.property('probe');
  });

  it('refuses a command line without a program', () => {
    expect(() => platformOf('mount', { argv: [] })).to.throw(RangeError);
    expect(() => platformOf('mount', { argv: exits(0), probe: { argv: [''] } })).to.throw(RangeError);
  });
});
