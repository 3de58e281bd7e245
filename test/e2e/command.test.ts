import { stat } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { CommandPair, deadlineMs, hotmirror, never, NodeProcess, poll } from './support/command-pair.ts';
import type { NodeName } from './support/command-pair.ts';
import { eventContract, statusContract } from './support/contract.ts';

const nodes: readonly NodeName[] = ['alpha', 'beta'];
const suiteTimeoutMs = 120_000;

describe('hotmirror, without a running node', function () {
  this.timeout(suiteTimeoutMs);
  let pair: CommandPair;

  before(async () => (pair = await CommandPair.create()));
  after(() => pair.end());

  it('check: tells the worst case and every timing rule, and exits 0', async () => {
    const { exitCode, stdout, stderr } = await pair.command('alpha', 'check');
    expect(stderr).to.equal('');
    expect(stdout).to.include('worst-case failover');
    for (const rule of ['timing.deadline', 'timing.grace', 'timing.lease', 'takeover.unfenced']) expect(stdout).to.include(rule);
    expect(exitCode).to.equal(0);
  });

  it('check: names the path of what is wrong and exits 2', async () => {
    const file = await pair.readConfig();
    await pair.writeConfig({ ...file, monitor: { ...file.monitor, deadlineMs: 100 } });
    const { exitCode, stderr } = await pair.command('alpha', 'check');
    await pair.writeConfig(file);
    expect(stderr).to.include('monitor.deadlineMs: must be at least 2 × intervalMs').and.to.include('HM_CONFIG');
    expect(exitCode).to.equal(2);
  });

  it('exits 2 on an unknown command, an unknown option, a missing word and an unknown node', async () => {
    for (const words of [['frobnicate'], ['check', '--frob'], ['control'], ['control', 'perhaps'], ['status', '--node', 'gamma']]) {
      const { exitCode, stdout, stderr } = await hotmirror(...words, '--config', pair.configFile);
      expect(exitCode, words.join(' ')).to.equal(2);
      expect(stdout).to.equal('');
      expect(stderr).to.match(/^remedy: ./mu);
    }
  });

  it('exits 2 on a configuration that is absent or no JSON', async () => {
    for (const file of [path.join(pair.folder, 'absent.json'), pair.element('alpha')]) {
      const { exitCode, stderr } = await hotmirror('check', '--config', file);
      expect(stderr).to.include('HM_CONFIG').and.to.include(file);
      expect(exitCode).to.equal(2);
    }
  });

  it('exits 4 where nobody answers on the control socket', async () => {
    const commands = [
      ['status'],
      ['events'],
      ['control', 'auto'],
      ['fallback'],
      ['recover'],
      ['switchover'],
      ['adopt'],
      ['plan', 'recover'],
    ];
    const results = await Promise.all(commands.map((words) => pair.command('alpha', ...words)));
    for (const [index, { exitCode, stderr }] of results.entries()) {
      expect(stderr).to.include('HM_NO_NODE');
      expect(exitCode, commands[index]?.join(' ')).to.equal(4);
    }
  });

  it('init: refuses on the standby before the key exists, and creates nothing', async () => {
    const result = await pair.command('beta', 'init');
    expect(result.exitCode).to.equal(3);
    expect(result.stderr)
      .to.match(/copy it from/iu)
      .and.to.include('HM_KEY_MISSING');
    expect(await exists(pair.state('beta', 'm0.meta'))).to.equal(false);
  });

  it('run: refuses before init', async () => {
    expect((await pair.command('alpha', 'run')).exitCode).to.equal(3);
    expect(await exists(pair.state('alpha', 'm0.meta'))).to.equal(false);
  });

  it('init: makes the key (0600, 32 bytes) and the metadata', async () => {
    await pair.must('alpha', 'init');
    await pair.must('beta', 'init');
    const key = await stat(path.join(pair.folder, 'pair.key'));
    expect([key.size, key.mode & 0o777]).to.deep.equal([32, 0o600]);
    for (const node of nodes) expect(await exists(pair.state(node, 'm0.meta'))).to.equal(true);
  });

  it('init: refuses to overwrite metadata, and by force without --yes', async () => {
    for (const node of nodes) {
      const again = await pair.command(node, 'init');
      expect(again.exitCode).to.equal(3);
      expect(again.stderr).to.include('HM_METADATA_EXISTS');
      const forced = await pair.command(node, 'init', '--force');
      expect(forced.exitCode).to.equal(3);
      expect(forced.stderr).to.include('--yes');
    }
  });
});

describe('hotmirror, a pair of two running nodes', function () {
  this.timeout(suiteTimeoutMs);
  let pair: CommandPair;

  before(async () => (pair = await CommandPair.initialised()));
  after(() => pair.end());

  it('run: prints a line with ready, and the home primary serves', async () => {
    for (const process of await Promise.all(nodes.map((node) => pair.run(node)))) expect(process.stdout).to.match(/\bready\b.*\n/u);
    await pair.health('alpha');
  });

  it('status --json: has exactly the keys and values of the contract, on both nodes', async () => {
    const [alpha, beta] = await Promise.all(
      nodes.map(async (node) => statusContract.parse(JSON.parse(await pair.must(node, 'status', '--json')))),
    );
    expect(alpha).to.include({ node: 'alpha', home: 'primary', mode: 'normal', serving: true, control: 'auto' });
    expect(beta).to.include({ node: 'beta', home: 'standby', mode: 'normal', serving: false, control: 'auto' });
    expect(alpha?.epoch).to.equal(beta?.epoch);
    expect(alpha?.mirrors[0]).to.include({ name: 'm0', role: 'source', connection: 'connected' });
    expect(beta?.mirrors[0]).to.include({ name: 'm0', role: 'target', connection: 'connected', export: null });
  });

  it('status: shows the pair to people', async () => {
    const view = await pair.must('alpha', 'status');
    for (const word of ['Primary: alpha', 'Standby: beta', 'normal mode', 'uptodate', 'takeover.unfenced']) expect(view).to.include(word);
  });

  it('events --json: one valid object a line, numbered upwards', async () => {
    for (const node of nodes) {
      const lines = (await pair.must(node, 'events', '--json')).trimEnd().split('\n');
      const events = lines.map((line) => eventContract.parse(JSON.parse(line)));
      events.forEach(({ seq, node: teller }, index) => expect({ seq, teller }).to.deep.equal({ seq: index + 1, teller: node }));
    }
  });

  it('control manual: is seen on both nodes, and events --follow tells of it', async () => {
    const following = new NodeProcess('alpha', pair.configFile, 'events', '--follow', '--json');
    await poll(
      'the log so far',
      async () => following.stdout,
      (text) => text.includes('\n'),
    );
    await pair.must('beta', 'control', 'manual');
    for (const node of nodes) await pair.until(node, 'control manual', ({ control }) => control === 'manual');
    await poll(
      'the event',
      async () => following.stdout,
      (text) => text.includes('"control:changed"'),
    );
    following.signal('SIGTERM');
    expect(await following.ended).to.equal(0);
    expect(following.stderr).to.equal('');
    const events = following.stdout
      .trimEnd()
      .split('\n')
      .map((line) => eventContract.parse(JSON.parse(line)));
    events.forEach(({ seq }, index) => expect(seq).to.equal(index + 1));
  });

  it('takeover.auto: with control manual nobody takes over after a kill -9, and status says why', async () => {
    await pair.kill('alpha');
    await pair.until(
      'beta',
      'the verdict',
      ({ monitor, blockedBy }) => monitor.peer === 'down' && blockedBy.some(({ rule }) => rule === 'takeover.auto'),
    );
    await never(
      'beta took over',
      () => pair.status('beta'),
      ({ serving, mode }) => serving || mode === 'fallback',
    );
    expect((await pair.command('alpha', 'status')).exitCode).to.equal(4);
  });

  it('events: of the node that was killed come from its state folder', async () => {
    const { exitCode, stdout, stderr } = await pair.command('alpha', 'events', '--json');
    expect(exitCode).to.equal(0);
    expect(stderr).to.equal(`hotmirror: alpha does not run; this is the log in ${path.dirname(pair.state('alpha', 'x'))}\n`);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => eventContract.parse(JSON.parse(line)));
    events.forEach(({ seq, node }, index) => expect({ seq, node }).to.deep.equal({ seq: index + 1, node: 'alpha' }));
    expect(events.map(({ event }) => event)).to.include('service:started');
  });

  it('plan fallback: names the steps and the epoch, and changes nothing', async () => {
    const plan = JSON.parse(await pair.must('beta', 'plan', 'fallback', '--json')) as {
      fulfilled: boolean;
      steps: readonly { node: string; step: string; text: string }[];
    };
    expect(plan.fulfilled).to.equal(false);
    for (const { node, step, text } of plan.steps) expect(text, step).not.to.equal(`${node}: ${step}`).and.not.to.equal(step);
    expect(plan.steps).not.to.be.empty;
    expect((await pair.status('beta')).serving).to.equal(false);
  });

  it('control auto: now the fallback happens', async () => {
    const before = await pair.status('beta');
    await pair.must('beta', 'control', 'auto');
    const { epoch } = await pair.until('beta', 'the fallback', ({ serving, mode }) => serving && mode === 'fallback');
    expect(epoch).to.be.greaterThan(before.epoch);
  });

  it('fallback: exits 0 where it is fulfilled', async () => {
    const result = JSON.parse(await pair.must('beta', 'fallback', '--json')) as { changed: boolean };
    expect(result.changed).to.equal(false);
  });

  it('run: the old primary comes back passive and is regenerated', async () => {
    await pair.run('alpha');
    await pair.health('beta');
    expect(await pair.status('alpha')).to.include({ serving: false, mode: 'fallback', home: 'primary' });
  });

  it('recover: asked at either node, brings the service back', async () => {
    await pair.must('alpha', 'recover');
    await pair.health('alpha');
    for (const node of nodes) expect(await pair.status(node)).to.include({ mode: 'normal' });
    await pair.must('beta', 'recover');
    await pair.must('alpha', 'fallback');
    await pair.health('beta');
    await pair.must('beta', 'recover');
    await pair.health('alpha');
  });

  it('switchover: there and back, each with one serving node afterwards', async () => {
    await pair.must('beta', 'switchover');
    await pair.health('beta');
    await pair.must('beta', 'switchover');
    await pair.health('alpha');
  });

  it('verify, regenerate, grow: asked at either node, are done by the one that serves', async () => {
    for (const node of nodes) {
      expect(JSON.parse(await pair.must(node, 'verify', 'm0', '--json')), node).to.include({ differingBytes: 0, repaired: false });
      expect(JSON.parse(await pair.must(node, 'regenerate', 'm0', '--full', '--yes', '--json')), node).to.include({ changed: true });
      expect(JSON.parse(await pair.must(node, 'grow', 'm0', '--json')), node).to.include({ changed: false });
    }
    const events = await pair.must('alpha', 'events', '--json');
    expect(events.split('verify:finished')).to.have.lengthOf(1 + nodes.length);
  });

  it('element off, on: the passive element goes out and comes back in, while the serving one is refused', async () => {
    const offAndOn = [] as boolean[];
    for (const to of ['off', 'off', 'on', 'on']) {
      const { changed } = JSON.parse(await pair.must('beta', 'element', 'm0', to, '--json')) as { changed: boolean };
      offAndOn.push(changed);
      if (to === 'off') await pair.until('alpha', 'the loss', ({ mirrors }) => mirrors[0]?.peerElement === 'off');
      else await pair.health('alpha');
    }
    expect(offAndOn).to.deep.equal([true, false, true, false]);
    expect(await pair.status('alpha')).to.include({ serving: true });
  });

  it('adopt: swaps the homes, recorded on both nodes, and check tells of the difference to the file', async () => {
    await pair.must('alpha', 'switchover');
    await pair.health('beta');
    await pair.must('alpha', 'adopt');
    await pair.until('alpha', 'the new home', ({ home, mode }) => home === 'standby' && mode === 'normal');
    await pair.until('beta', 'the new home', ({ home, mode }) => home === 'primary' && mode === 'normal');
    expect(await pair.must('alpha', 'check')).to.include('pair record');
    await pair.must('alpha', 'switchover');
    await pair.health('alpha');
    await pair.must('beta', 'adopt');
    await pair.until('beta', 'the old home', ({ home, mode }) => home === 'standby' && mode === 'normal');
  });

  it('node.leave: a primary that is stopped by SIGTERM exits 0, and the standby shows it as left and does not take over', async () => {
    expect(await pair.stop('alpha')).to.equal(0);
    expect(pair.process('alpha').stderr).not.to.match(/error/iu);
    await pair.until('beta', 'the goodbye', ({ monitor }) => monitor.peer === 'left');
    await never(
      'beta took over',
      () => pair.status('beta'),
      ({ serving }) => serving,
      6 * deadlineMs,
    );
    const { blockedBy } = await pair.status('beta');
    expect(blockedBy.map(({ rule }) => rule)).to.include('node.leave');
    await pair.run('alpha');
    await pair.health('alpha');
  });

  it('node.leave: a primary goes on alone after its standby left, and resyncs it when it is back', async () => {
    expect(await pair.stop('beta')).to.equal(0);
    await pair.until('alpha', 'the goodbye', ({ monitor, serving }) => monitor.peer === 'left' && serving);
    await never(
      'alpha stopped serving',
      () => pair.status('alpha'),
      ({ serving }) => !serving,
    );
    await pair.run('beta');
    await pair.health('alpha');
  });

  for (const order of [nodes, [...nodes].reverse()]) {
    it(`run: after both were stopped, ${order.join(' before ')}, they come back in either order`, async () => {
      for (const node of order) expect(await pair.stop(node)).to.equal(0);
      expect(await pair.identical()).to.equal(true);
      for (const node of order) {
        await pair.run(node);
        // The second one starts when the first has long decided to wait.
        if (node === order[0])
          await never(
            `${node} serves without its peer`,
            () => pair.status(node),
            ({ serving }) => serving,
          );
      }
      await pair.health('alpha');
    });
  }
});

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
