import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { skipWithoutDirectIo } from '../device/direct-io.ts';
import { skipBecause } from '../support/skip.ts';
import { AcknowledgedWrites } from './support/acknowledged-writes.ts';
import { CommandPair, elementBytes, patienceMs } from './support/command-pair.ts';
import type { NodeName } from './support/command-pair.ts';
import { directly, exportedPair, socketOf, untilExported, uriOf } from './support/exported-pair.ts';
import { killRound } from './support/kill-round.ts';
import { installed, must } from './support/program.ts';

const programs = { nbdinfo: 'libnbd-bin', nbdcopy: 'libnbd-bin', 'qemu-io': 'qemu-utils', 'qemu-img': 'qemu-utils', fio: 'fio' } as const;
const mebibytes = elementBytes / 2 ** 20;

/** Every program that real users reach a disk with, once. */
async function useBy(pair: CommandPair, node: NodeName): Promise<void> {
  const uri = uriOf(pair, node);
  expect(await must('nbdinfo', uri)).to.contain(`export-size: ${String(elementBytes)}`);
  expect(await must('nbdinfo', '--list', uri.replace('/m0?', '/?'))).to.contain('export="m0"');
  expect(await must('nbdinfo', '--map', uri)).to.match(new RegExp(`0 +${String(elementBytes)} +0`, 'u'));
  const [there, back] = [path.join(pair.folder, 'there.raw'), path.join(pair.folder, 'back.raw')];
  await writeFile(there, systemRandom.bytes(elementBytes));
  await must('nbdcopy', '--connections=4', '--flush', there, uri);
  await must('nbdcopy', '--connections=4', uri, back);
  expect((await readFile(back)).equals(await readFile(there))).to.equal(true);
  await must('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', there, uri);
  const commands = [
    'write -P 7 4096 65536',
    'read -P 7 4096 65536',
    'write -z 8192 4096',
    'read -P 0 8192 4096',
    'flush',
    'write -f -P 9 0 512',
    'read -P 9 0 512',
  ];
  await must('qemu-io', '-f', 'raw', ...commands.flatMap((command) => ['-c', command]), uri);
  await must('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', there, uri);
  await must(
    'fio',
    '--name=m0',
    '--ioengine=nbd',
    `--uri=${uri}`,
    '--rw=randrw',
    '--bsrange=512-256k',
    '--blockalign=512',
    '--iodepth=16',
    `--size=${String(mebibytes)}m`,
    '--verify=crc32c',
    '--verify_state_save=0',
  );
}

describe('A mirror as a net disk, by the programs that its users have (NBD)', function () {
  this.timeout(4 * patienceMs);
  let pair: CommandPair | null = null;

  before(function () {
    const missing = Object.entries(programs).filter(([program]) => !installed(program));
    if (missing.length > 0) skipBecause(this, `not installed: ${[...new Set(missing.map(([, name]) => name))].join(', ')}`);
  });

  afterEach(async () => {
    await pair?.end();
    pair = null;
  });

  it('serves nbdinfo, nbdcopy, qemu-img, qemu-io and fio while the target is up, while it is down, and while a resync runs', async () => {
    pair = await exportedPair();
    await pair.until('alpha', 'the export', ({ mirrors }) => mirrors[0]?.export === 'nbd+unix:///m0?socket=alpha/m0.nbd');
    await useBy(pair, 'alpha');
    expect(await pair.identical()).to.equal(true);
    await pair.kill('beta');
    await useBy(pair, 'alpha');
    await pair.run('beta');
    await useBy(pair, 'alpha');
    await pair.health('alpha');
    expect(await pair.identical()).to.equal(true);
  });

  it('moves with the service: it is there exactly on the node that serves', async () => {
    pair = await exportedPair();
    expect((await pair.status('beta')).mirrors[0]?.export).to.equal(null);
    await must('qemu-io', '-f', 'raw', '-c', 'write -P 5 0 65536', uriOf(pair, 'alpha'));
    await pair.must('alpha', 'switchover');
    await untilExported(pair, 'beta');
    await must('qemu-io', '-f', 'raw', '-c', 'read -P 5 0 65536', uriOf(pair, 'beta'));
    expect((await pair.status('alpha')).mirrors[0]?.export).to.equal(null);
    expect(existsSync(path.join(pair.folder, 'alpha', 'm0.nbd'))).to.equal(false);
    await pair.health('beta');
    await pair.kill('beta');
    await pair.until('alpha', 'the takeover', ({ mirrors }) => mirrors[0]?.export !== null);
    await must('qemu-io', '-f', 'raw', '-c', 'read -P 5 0 65536', uriOf(pair, 'alpha'));
  });
});

describe('What a client of a net disk was told (write.both)', function () {
  this.timeout(4 * patienceMs);

  const elements = [
    { kind: 'files', change: undefined },
    { kind: 'files past the page cache', change: directly },
  ];
  for (const { kind, change } of elements)
    it(`over ${kind} survives kill -9 of the serving node at random moments, there and back`, async function () {
      if (change === directly) await skipWithoutDirectIo(this);
      const pair = await exportedPair(change);
      const random = new SeededRandom(1);
      try {
        for (const serving of ['alpha', 'beta', 'alpha'] as const) {
          const { acknowledged, lost } = await killRound(pair, serving, random);
          console.log(`      ${String(acknowledged)} writes acknowledged by ${serving} before it was killed, ${String(lost.length)} lost`);
          expect(lost).to.deep.equal([]);
        }
      } finally {
        await pair.end();
      }
    });
});

/** nbdkit, which serves the disk of a node's element from where the configuration looks for it. */
class ElementServer {
  readonly #pair: CommandPair;
  readonly #socket: string;
  #process: ChildProcess | null = null;

  constructor(pair: CommandPair, node: NodeName) {
    this.#pair = pair;
    this.#socket = path.join(pair.folder, node, 'element.nbd');
  }

  async start(): Promise<void> {
    rmSync(this.#socket, { force: true });
    this.#process = spawn('nbdkit', ['-f', '-U', this.#socket, 'file', this.#pair.element('beta')], { stdio: 'ignore' });
    while (!existsSync(this.#socket)) await sleep(systemClock, 20);
  }

  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#process?.once('exit', resolve));
    if (this.#process?.kill('SIGKILL')) await ended;
  }
}

describe('An element behind an NBD server', function () {
  this.timeout(6 * patienceMs);

  it('holds what was acknowledged, though its server is killed and started anew under the writes, and serves it after a takeover', async function () {
    if (!installed('nbdkit')) skipBecause(this, 'not installed: nbdkit');
    const random = new SeededRandom(7);
    const pair = await CommandPair.create({
      change: (file) => {
        file.mirrors[0]!.elements.beta.device = 'nbd+unix:///?socket=beta/element.nbd';
      },
    });
    const server = new ElementServer(pair, 'beta');
    try {
      await server.start();
      for (const node of ['alpha', 'beta'] as const) await pair.must(node, 'init');
      await Promise.all([pair.run('alpha'), pair.run('beta')]);
      await pair.health('alpha');
      await untilExported(pair, 'alpha');
      const writes = new AcknowledgedWrites(random, elementBytes);
      const { ended } = await writes.begin(socketOf(pair, 'alpha'));
      for (let kill = 1; kill <= 5; kill += 1) {
        const before = writes.acknowledged;
        while (writes.acknowledged < before + 200) await sleep(systemClock, 10);
        await server.kill();
        await sleep(systemClock, random.below(500));
        await server.start();
      }
      const before = writes.acknowledged;
      while (writes.acknowledged < before + 200) await sleep(systemClock, 10);
      expect((await pair.status('alpha')).mirrors[0]).to.include({ element: 'uptodate', peerElement: 'uptodate' });
      await pair.kill('alpha');
      await ended;
      await untilExported(pair, 'beta');
      console.log(`      ${String(writes.acknowledged)} writes acknowledged while nbdkit was killed five times`);
      expect(await writes.lost(socketOf(pair, 'beta'))).to.deep.equal([]);
      await pair.run('alpha');
      await pair.health('beta');
      expect(await pair.identical()).to.equal(true);
    } finally {
      await pair.end();
      await server.kill();
    }
  });
});
