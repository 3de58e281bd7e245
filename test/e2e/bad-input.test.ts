import { chmod, copyFile, open, readFile, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import path from 'node:path';

import { expect } from 'chai';

import { systemRandom } from '../../src/clock/system-random.ts';
import { FileDevice } from '../../src/device/file.ts';
import type { LoggedEvent } from '../../src/node/control-protocol.ts';
import { preamble } from '../../src/transport/preamble.ts';
import { CommandPair, deadlineMs, elementBytes, hotmirror, never } from './support/command-pair.ts';
import type { CommandPairOptions, NodeName, NodeProcess, PairFile } from './support/command-pair.ts';

const suiteTimeoutMs = 120_000;
const nodes: readonly NodeName[] = ['alpha', 'beta'];
/** Where the two copies of metadata and pair record lie. */
const metadataCopyBytes = 16_384;
const recordCopyBytes = 8_192;

let pair: CommandPair;

/** Every kind of bad input against a pair of its own. */
function withPair(make: () => Promise<CommandPair>): void {
  before(async () => (pair = await make()));
  after(() => pair.end());
}

/** Both nodes ran once and were stopped in order: alpha served last and both elements are the same. */
async function stopped(options: CommandPairOptions = {}): Promise<CommandPair> {
  const made = await CommandPair.healthy(options);
  await made.stopAll();
  return made;
}

/** An event with this code in its evidence. */
const tells =
  (code: string) =>
  ({ evidence }: LoggedEvent): boolean =>
    evidence?.['code'] === code;

/** Destroys a part of a file. */
async function damage(file: string, offsetBytes: number, lengthBytes: number): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(systemRandom.bytes(lengthBytes), 0, lengthBytes, offsetBytes);
  await handle.close();
}

/** A configuration that differs from the pair's. */
async function otherConfig(name: string, change: (file: PairFile) => void): Promise<string> {
  const file = await pair.readConfig();
  change(file);
  const configFile = path.join(pair.folder, name);
  await writeFile(configFile, JSON.stringify(file));
  return configFile;
}

async function expectEnd(process: NodeProcess, exitCode: number, code: string): Promise<void> {
  expect(await process.ended).to.equal(exitCode);
  expect(process.stderr)
    .to.include(code)
    .and.to.match(/^remedy: ./mu);
  expect(process.stdout).to.equal('');
}

describe('a standby with the wrong key (trust)', function () {
  this.timeout(suiteTimeoutMs);
  withPair(() => CommandPair.healthy());
  let untouched: Buffer;

  it('is told of on both nodes, and the primary goes on alone', async () => {
    await pair.kill('beta');
    untouched = await readFile(pair.element('beta'));
    await writeFile(path.join(pair.folder, 'wrong.key'), systemRandom.bytes(32), { mode: 0o600 });
    await pair.run('beta', await otherConfig('wrong.json', (file) => (file.auth.keyFile = 'wrong.key')));
    for (const node of nodes) await pair.event(node, 'the wrong key', tells('HM_WRONG_KEY'));
    await pair.until('alpha', 'alone', ({ serving, monitor }) => serving && monitor.peer === 'down');
  });

  it('neither takes over nor writes to its element, even when the primary dies', async () => {
    await never(
      'beta serves',
      () => pair.status('beta'),
      ({ serving }) => serving,
    );
    await pair.kill('alpha');
    await never(
      'beta serves',
      () => pair.status('beta'),
      ({ serving, monitor }) => serving || monitor.peer !== 'unknown',
      6 * deadlineMs,
    );
    expect(untouched.equals(await readFile(pair.element('beta')))).to.equal(true);
  });
});

describe('a stranger who speaks garbage to every listening port (trust)', function () {
  this.timeout(suiteTimeoutMs);
  withPair(() => CommandPair.healthy());
  const sockets: Socket[] = [];
  after(() => sockets.forEach((socket) => socket.destroy()));

  const hugeLength = Buffer.concat([preamble, Buffer.alloc(64, 0xff)]);
  const garbage: readonly (readonly [string, () => Uint8Array])[] = [
    ['random bytes', () => systemRandom.bytes(65_536)],
    ['half a handshake', () => preamble.subarray(0, preamble.length - 1)],
    ['a handshake that stops', () => preamble],
    ['a huge length', () => hugeLength],
    ['nothing', () => new Uint8Array()],
    ['random bytes in a frame', () => Buffer.concat([preamble, systemRandom.bytes(4096)])],
  ];

  it('disturbs nothing: the pair goes on serving in its epoch, both peers up', async () => {
    const { epoch } = await pair.status('alpha');
    for (let round = 0; round < 5; round += 1) {
      for (const port of pair.ports) for (const [, bytes] of garbage) sockets.push(await shout(port, bytes()));
    }
    const disturbed = async () => [await pair.status('alpha'), await pair.status('beta')];
    await never(
      'the pair was disturbed',
      disturbed,
      ([alpha, beta]) =>
        alpha?.serving !== true ||
        alpha.epoch !== epoch ||
        alpha.monitor.peer !== 'up' ||
        beta?.monitor.peer !== 'up' ||
        beta.serving ||
        beta.mirrors[0]?.element !== 'uptodate',
    );
  });

  it('is told of with a typed code on both nodes', async () => {
    // A monitor link tells of one refusal in an interval, and on a busy machine another kind of garbage may have been the first: by now it is quiet.
    for (const port of pair.ports) sockets.push(await shout(port, systemRandom.bytes(65_536)));
    for (const node of nodes) {
      await pair.event(node, 'garbage on the data link', (event) => event.event === 'link:refused' && tells('HM_BAD_MAGIC')(event));
      await pair.event(node, 'garbage on a monitor link', (event) => event.event === 'frame:rejected' && tells('HM_BAD_MAGIC')(event));
    }
  });

  async function shout(port: number, bytes: Uint8Array): Promise<Socket> {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined).on('data', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    socket.write(bytes);
    return socket;
  }
});

describe('hotmirror run, refused before it touches anything', function () {
  this.timeout(suiteTimeoutMs);
  withPair(() => stopped());

  it('HM_NODE_RUNNING: a second run of the same node exits 1, and the first goes on', async () => {
    const first = await pair.run('alpha');
    await expectEnd(await pair.run('alpha'), 1, 'HM_NODE_RUNNING');
    expect(first.running).to.equal(true);
    await pair.status('alpha');
    first.signal('SIGTERM');
    expect(await first.ended).to.equal(0);
  });

  it('HM_DEVICE_IN_USE: another process holds the element', async () => {
    const device = await FileDevice.open(pair.element('alpha'));
    try {
      await expectEnd(await pair.run('alpha'), 1, 'HM_DEVICE_IN_USE');
    } finally {
      await device.close();
    }
  });

  it('HM_DEVICE_NOT_FOUND: the element is absent, and is not created', async () => {
    const config = await otherConfig('absent.json', ({ mirrors: [mirror] }) => (mirror!.elements.alpha.device = 'alpha/absent.img'));
    await expectEnd(await pair.run('alpha', config), 1, 'HM_DEVICE_NOT_FOUND');
    expect(await readFile(path.join(pair.folder, 'alpha', 'absent.img')).catch(() => null)).to.equal(null);
  });

  it('HM_KEY_MISSING, HM_KEY_INVALID: no key file, a key that others may read, a key that is too short', async () => {
    const key = await readFile(path.join(pair.folder, 'pair.key'));
    const keyFile = (name: string): Promise<string> => otherConfig(`${name}.json`, (file) => (file.auth.keyFile = name));
    await expectEnd(await pair.run('alpha', await keyFile('missing.key')), 3, 'HM_KEY_MISSING');
    await writeFile(path.join(pair.folder, 'open.key'), key);
    await chmod(path.join(pair.folder, 'open.key'), 0o644);
    await expectEnd(await pair.run('alpha', await keyFile('open.key')), 3, 'HM_KEY_INVALID');
    await writeFile(path.join(pair.folder, 'short.key'), key.subarray(1), { mode: 0o600 });
    await expectEnd(await pair.run('alpha', await keyFile('short.key')), 3, 'HM_KEY_INVALID');
  });

  it('HM_STATE_UNWRITABLE: the state folder cannot be made; init and run say so', async () => {
    const config = await otherConfig('unwritable.json', ({ nodes: { alpha } }) => (alpha.stateDir = 'alpha/m0.img/state'));
    await expectEnd(await pair.run('alpha', config), 1, 'HM_STATE_UNWRITABLE');
    const { exitCode, stderr } = await hotmirror('init', '--config', config, '--node', 'alpha');
    expect(stderr).to.include('HM_STATE_UNWRITABLE');
    expect(exitCode).to.equal(1);
  });

  it('HM_ADDRESS_IN_USE: somebody else listens at the address of a link', async () => {
    const servers = await Promise.all(
      pair.ports.map(async (port) => {
        const server = createServer();
        await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
        return server;
      }),
    );
    try {
      await expectEnd(await pair.run('alpha'), 1, 'HM_ADDRESS_IN_USE');
    } finally {
      for (const server of servers) server.close();
    }
  });
});

describe('damaged metadata, kept in two copies', function () {
  this.timeout(suiteTimeoutMs);
  withPair(() => stopped());
  afterEach(() => pair.stopAll());

  for (const copy of [0, 1]) {
    it(`metadata:repaired: copy ${String(copy)} is damaged, the other is used`, async () => {
      await damage(pair.state('alpha', 'm0.meta'), copy * metadataCopyBytes, metadataCopyBytes);
      await Promise.all(nodes.map((node) => pair.run(node)));
      await pair.health('alpha');
      const repaired = ({ event }: LoggedEvent): boolean => event === 'metadata:repaired';
      await pair.event('alpha', 'the repair', repaired);
      expect((await pair.events('alpha')).filter(repaired)).to.have.length(copy + 1);
      await pair.stopAll();
      expect(await pair.identical()).to.equal(true);
    });
  }

  it('HM_METADATA_CORRUPT: both copies of the pair record are damaged', async () => {
    await refusedWithout('alpha', 'pair.record', 2 * recordCopyBytes);
  });

  it('HM_METADATA_CORRUPT: both copies of the metadata are damaged', async () => {
    await refusedWithout('beta', 'm0.meta', 2 * metadataCopyBytes);
  });

  it('HM_METADATA_CORRUPT: the metadata was truncated', async () => {
    const file = pair.state('beta', 'm0.meta');
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, metadataCopyBytes));
    await expectEnd(await pair.run('beta'), 1, 'HM_METADATA_CORRUPT');
    await writeFile(file, whole);
  });

  /** Damages a file of state, expects the refusal and that nothing was written, and puts it back. */
  async function refusedWithout(node: NodeName, name: string, lengthBytes: number): Promise<void> {
    const file = pair.state(node, name);
    const kept = `${file}.kept`;
    await copyFile(file, kept);
    await damage(file, 0, lengthBytes);
    const [damaged, element] = await Promise.all([readFile(file), readFile(pair.element(node))]);
    await expectEnd(await pair.run(node), 1, 'HM_METADATA_CORRUPT');
    expect(damaged.equals(await readFile(file)), name).to.equal(true);
    expect(element.equals(await readFile(pair.element(node))), 'the element').to.equal(true);
    await copyFile(kept, file);
  }
});

describe('a standby whose element is smaller than the mirror (lineage.size)', function () {
  this.timeout(suiteTimeoutMs);
  withPair(() => CommandPair.initialised({ betaBytes: elementBytes / 2 }));

  it('HM_ELEMENT_TOO_SMALL is told of on both nodes and nothing is written', async () => {
    const untouched = await readFile(pair.element('beta'));
    await Promise.all(nodes.map((node) => pair.run(node)));
    for (const node of nodes) await pair.event(node, 'the size', tells('HM_ELEMENT_TOO_SMALL'));
    await never(
      'beta serves',
      () => pair.status('beta'),
      ({ serving }) => serving,
    );
    expect(untouched.equals(await readFile(pair.element('beta')))).to.equal(true);
  });

  // Its element is as good as ever, but no handshake has settled that: serving needs an element that is uptodate after lineage.decide.
  it('boot.uptodate: the home primary waits after its start, and says why', async () => {
    const { serving, blockedBy } = await pair.status('alpha');
    expect(serving).to.equal(false);
    expect(blockedBy.map(({ rule }) => rule)).to.deep.equal(['boot.uptodate']);
  });
});

describe('a standby that belongs to another mirror (lineage.unrelated)', function () {
  this.timeout(suiteTimeoutMs);
  withPair(() => CommandPair.create());

  it('HM_UNRELATED is told of on both nodes and nothing is copied', async () => {
    await pair.must('alpha', 'init');
    const other = await otherConfig('other.json', (file) => {
      file.pair = 'other';
      file.nodes.alpha.home = 'standby';
      file.nodes.beta.home = 'primary';
    });
    expect((await hotmirror('init', '--config', other, '--node', 'beta')).exitCode).to.equal(0);
    const elements = await Promise.all(nodes.map((node) => readFile(pair.element(node))));
    await Promise.all(nodes.map((node) => pair.run(node)));
    for (const node of nodes) {
      await pair.until(node, 'unrelated', ({ mirrors: [mirror] }) => mirror?.connection === 'unrelated');
      await pair.event(node, 'unrelated', tells('HM_UNRELATED'));
    }
    for (const node of nodes)
      await never(
        `${node} serves`,
        () => pair.status(node),
        ({ serving }) => serving,
        2 * deadlineMs,
      );
    for (const [index, node] of nodes.entries()) expect(elements[index]?.equals(await readFile(pair.element(node))), node).to.equal(true);
  });
});
