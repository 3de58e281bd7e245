import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';

import { expect } from 'chai';

import { ownEnvironment } from '../support/environment.ts';
import { skipBecause } from '../support/skip.ts';
import { CommandPair, patienceMs, poll } from './support/command-pair.ts';
import type { NodeName } from './support/command-pair.ts';
import { uriOf } from './support/exported-pair.ts';
import { KernelDisk, must, unmountable } from './support/kernel-disk.ts';

const diskBytes = 64 * 2 ** 20;
const writerProgram = path.join(import.meta.dirname, 'support', 'fsync-writer.js');
/** So many files are safe before the server is killed. */
const filesBefore = 40;
/** `e2fsck` found nothing, or has repaired what it found. */
const repaired = [0, 1];

/** Writes files until the disk fails, and keeps the checksums of those that are durable. */
class Writer {
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  readonly ended: Promise<void>;
  #said = '';

  constructor(folder: string) {
    this.#child = spawn(process.execPath, [writerProgram, folder], { env: ownEnvironment(), stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
  }

  /** A line a file, as far as they are whole. */
  get durable(): readonly string[] {
    return this.#said.split('\n').slice(0, -1);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
    // One that a hanging disk holds never ends: nobody waits for it.
    this.#child.unref();
    this.#child.stdout.destroy();
  }
}

/** A healthy pair with disks that hold a file system. */
async function pairWithDisks(): Promise<CommandPair> {
  const pair = await CommandPair.create();
  for (const node of ['alpha', 'beta'] as const) {
    await truncate(pair.element(node), diskBytes);
    await pair.must(node, 'init');
  }
  await Promise.all([pair.run('alpha'), pair.run('beta')]);
  await pair.health('alpha');
  return pair;
}

describe('A mirror under a file system of the kernel (nbdfuse, loop, ext4)', function () {
  this.timeout(4 * patienceMs);
  let pair: CommandPair | null = null;
  let writer: Writer | null = null;
  const disks: KernelDisk[] = [];

  before(function () {
    const reason = unmountable();
    if (reason !== null) skipBecause(this, reason);
  });

  afterEach(async () => {
    writer?.kill();
    for (const disk of disks.splice(0)) await disk.end();
    await pair?.end();
    [pair, writer] = [null, null];
  });

  async function attach(to: CommandPair, node: NodeName): Promise<KernelDisk> {
    const disk = await KernelDisk.attach(uriOf(to, node), path.join(to.folder, `${node}-mount`));
    disks.push(disk);
    return disk;
  }

  it('keeps every file that was fsynced, through kill -9 of the serving node under writes and a takeover (write.both)', async () => {
    pair = await pairWithDisks();
    const before = await attach(pair, 'alpha');
    await must([0], 'mkfs.ext4', '-q', before.device);
    writer = new Writer(await before.mount());
    await poll(
      'files on the disk',
      async () => writer!.durable.length,
      (count) => count >= filesBefore,
    );
    await pair.kill('alpha');
    await writer.ended;
    await before.end();

    await pair.until('beta', 'the takeover', ({ mirrors }) => mirrors[0]?.export !== null);
    const after = await attach(pair, 'beta');
    await must(repaired, 'e2fsck', '-fy', after.device);
    await must([0], 'e2fsck', '-fn', after.device);
    const folder = await after.mount();
    const sums = path.join(pair.folder, 'sums');
    await writeFile(sums, `${writer.durable.join('\n')}\n`);
    await must([0], 'env', '-C', folder, 'sha256sum', '--check', '--quiet', '--strict', sums);
    console.log(`      ${String(writer.durable.length)} files were durable when the node was killed, and are intact`);
    await after.detach();

    await pair.run('alpha');
    await pair.health('beta');
    expect(await pair.identical()).to.equal(true);
  });
});
