import { execFileSync } from 'node:child_process';
import fs, { existsSync } from 'node:fs';
import { chmod, link, mkdir, open, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import type { Clock } from '../../src/clock/clock.ts';
import { FileDevice } from '../../src/device/file.ts';
import { measureByReading } from '../../src/device/open-file.ts';
import { devicePromises } from '../../src/device/promises.ts';
import { deviceConformance } from '../../src/testing/device-conformance.ts';
import { skipBecause } from '../support/skip.ts';
import { attachLoop, detachLoop } from './loop-device.ts';
import { refusal } from './refusal.ts';
import { systemError, theCalls } from './scripted-calls.ts';
import { temporaryFolder } from './temporary-folder.ts';

const sizeBytes = 256 * 1024;

/** A clock by which the first read is slow, and no time passes after it: all others go to the pool. */
const afterASlowRead = (): Pick<Clock, 'nowMs'> => {
  let calls = 0;
  return { nowMs: () => Math.min(1000, 1000 * calls++) };
};
const atOnce = (): Pick<Clock, 'nowMs'> => ({ nowMs: () => 0 });

for (const [how, calls, parent, clock] of [
  ['without the system calls', null, tmpdir(), atOnce],
  ['with them', theCalls, tmpdir(), atOnce],
  ['with them in memory', theCalls, existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), atOnce],
  ['with them, read in the pool', theCalls, tmpdir(), afterASlowRead],
] as const)
  deviceConformance(
    { describe, it },
    {
      name: `FileDevice ${how}`,
      async create() {
        const folder = await temporaryFolder(parent);
        const path = join(folder.path, 'element');
        await writeFile(path, new Uint8Array(sizeBytes));
        const open = (): Promise<FileDevice> => FileDevice.openBy(calls, path, { clock: clock() });
        return { device: await open(), reopen: open, dispose: folder.remove };
      },
    },
  );

describe('FileDevice', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let path: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder.path, 'element');
    await writeFile(path, new Uint8Array(sizeBytes));
  });
  const { writeSync, fdatasync } = fs;
  afterEach(async () => {
    replaceCalls({ writeSync, fdatasync });
    await folder.remove();
  });

  it('never creates an element', async () => {
    const absent = join(folder.path, 'absent');
    expect(await refusal(FileDevice.open(absent))).to.equal('HM_DEVICE_NOT_FOUND');
    expect(await refusal(FileDevice.open(join(path, 'below-a-file')))).to.equal('HM_DEVICE_NOT_FOUND');
    expect(existsSync(absent)).to.equal(false);
  });

  it('never truncates, extends or changes an element by opening and closing it', async () => {
    const bytes = Buffer.from('kept'.repeat(1000));
    await writeFile(path, bytes);
    await (await FileDevice.open(path)).close();
    expect(Buffer.compare(await readFile(path), bytes)).to.equal(0);
  });

  it('finds more of a file that was enlarged when it looks again, and never less', async () => {
    const device = await FileDevice.open(path);
    await truncate(path, 2 * sizeBytes + 700);
    expect(device.sizeBytes).to.equal(sizeBytes);
    await device.refreshSize();
    expect(device.sizeBytes).to.equal(2 * sizeBytes + 512);
    await truncate(path, sizeBytes);
    await device.refreshSize();
    expect(device.sizeBytes).to.equal(2 * sizeBytes + 512);
    await device.close();
    expect(await refusal(device.refreshSize())).to.equal('HM_CLOSED');
  });

  it('rounds a size that is not whole blocks down', async () => {
    await truncate(path, 4096 + 700);
    const device = await FileDevice.open(path);
    expect(device.sizeBytes).to.equal(4096 + 512);
    await device.close();
    const coarse = await FileDevice.open(path, { blockSizeBytes: 4096 });
    expect(coarse.sizeBytes).to.equal(4096);
    await coarse.close();
  });

  it('opens what is neither a file nor a block device never', async () => {
    expect(await refusal(FileDevice.open(folder.path))).to.equal('HM_DEVICE_ACCESS');
    expect(await refusal(FileDevice.open('/dev/null'))).to.equal('HM_DEVICE_ACCESS');
    execFileSync('mkfifo', [join(folder.path, 'fifo')]);
    expect(await refusal(FileDevice.open(join(folder.path, 'fifo')))).to.equal('HM_DEVICE_ACCESS');
  });

  it('refuses a file that it may not write', async function () {
    if (process.getuid?.() === 0) skipBecause(this, 'root may write everything');
    await chmod(path, 0o400);
    expect(await refusal(FileDevice.open(path))).to.equal('HM_DEVICE_ACCESS');
  });

  it('holds one element once, whatever the path, and lets go at close', async () => {
    const hard = join(folder.path, 'hard');
    const soft = join(folder.path, 'soft');
    await link(path, hard);
    await symlink(path, soft);
    const device = await FileDevice.open(path);
    for (const other of [path, hard, soft]) expect(await refusal(FileDevice.open(other))).to.equal('HM_DEVICE_IN_USE');
    await device.close();
    await (await FileDevice.open(hard)).close();
  });

  it('lets go of everything when it could not be opened', async () => {
    const device = await FileDevice.open(path);
    const before = await openDescriptors();
    for (let count = 0; count < 8; count += 1) await refusal(FileDevice.open(path));
    expect(await openDescriptors()).to.equal(before);
    await device.close();
  });

  it('fails a read where the file was truncated, and serves the rest', async () => {
    const device = await FileDevice.open(path);
    const io = devicePromises(device);
    await truncate(path, 1024);
    expect(await refusal(io.read(512, 1024))).to.equal('HM_IO_READ');
    await io.read(0, 1024);
    await device.close();
  });

  for (const [errno, code] of [
    ['ENOSPC', 'HM_NO_SPACE'],
    ['EDQUOT', 'HM_NO_SPACE'],
    ['EIO', 'HM_IO_WRITE'],
  ] as const) {
    it(`completes a write that fails with ${errno} with ${code}, and serves on`, async () => {
      const device = await FileDevice.open(path);
      const io = devicePromises(device);
      replaceCalls({
        writeSync: () => {
          throw systemError(errno);
        },
        fdatasync,
      });
      expect(await refusal(io.write(0, new Uint8Array(512)))).to.equal(code);
      replaceCalls({ writeSync, fdatasync });
      await io.write(0, new Uint8Array(512), { fua: true });
      await device.close();
    });
  }

  it('fails every flush after a failed one until it is opened again, whatever the reason was', async () => {
    const device = await FileDevice.open(path);
    const io = devicePromises(device);
    replaceCalls({
      writeSync,
      fdatasync: ((_fd: number, done: (error: Error) => void) => {
        setImmediate(done, systemError('ENOSPC'));
      }) as typeof fdatasync,
    });
    expect(await refusal(io.write(0, new Uint8Array(512), { fua: true }))).to.equal('HM_IO_FLUSH');
    replaceCalls({ writeSync, fdatasync });
    expect(await refusal(io.flush())).to.equal('HM_IO_FLUSH');
    expect(await refusal(io.write(0, new Uint8Array(512), { fua: true }))).to.equal('HM_IO_FLUSH');
    await io.write(0, new Uint8Array(512));
    await device.close();
    const again = await FileDevice.open(path);
    await devicePromises(again).flush();
    await again.close();
  });

  it('writes on after a short write, and gives up where nothing is taken', async () => {
    const device = await FileDevice.open(path);
    const io = devicePromises(device);
    const atMost = (most: number): typeof writeSync =>
      ((fd: number, from: Uint8Array, at: number, length: number, position: number) =>
        most === 0 ? 0 : writeSync(fd, from, at, Math.min(length, most), position)) as typeof writeSync;
    const bytes = Uint8Array.from({ length: 2048 }, (_, at) => at % 251);
    replaceCalls({ writeSync: atMost(100), fdatasync });
    await io.write(512, bytes);
    replaceCalls({ writeSync: atMost(0), fdatasync });
    expect(await refusal(io.write(512, bytes))).to.equal('HM_IO_WRITE');
    expect(Buffer.compare(await io.read(512, 2048), bytes)).to.equal(0);
    await device.close();
  });

  it('measures a block device by reading: the first byte that is not there is the end', async () => {
    for (const sectors of [0, 1, 2, 3, 7, 8, 9, 1000, 2 ** 21 + 5]) {
      await truncate(path, sectors * 512);
      const handle = await open(path, 'r');
      expect(await measureByReading(handle.fd, path), `${String(sectors)} sectors`).to.equal(sectors * 512);
      await handle.close();
    }
  });

  it('opens a block device exclusively', async function () {
    const loop = attachLoop(path);
    if (loop === null) skipBecause(this, 'no loop devices for this user here');
    try {
      const device = await FileDevice.open(loop);
      expect(device.sizeBytes).to.equal(sizeBytes);
      expect(await refusal(FileDevice.open(loop))).to.equal('HM_DEVICE_IN_USE');
      const io = devicePromises(device);
      await io.write(sizeBytes - 512, new Uint8Array(512).fill(9), { fua: true });
      expect((await io.read(sizeBytes - 512, 512))[511]).to.equal(9);
      await device.close();
    } finally {
      detachLoop(loop);
    }
  });

  it('creates nothing beside the element', async () => {
    await mkdir(join(folder.path, 'alone'));
    const alone = join(folder.path, 'alone', 'element');
    await writeFile(alone, new Uint8Array(512));
    const device = await FileDevice.open(alone);
    expect(fs.readdirSync(join(folder.path, 'alone'))).to.deep.equal(['element']);
    await device.close();
    expect((await stat(alone)).size).to.equal(512);
  });
});

async function openDescriptors(): Promise<number> {
  return (await fs.promises.readdir('/proc/self/fd')).length;
}

/** What modules that import these from node:fs call from now on. */
function replaceCalls(calls: Pick<typeof fs, 'writeSync' | 'fdatasync'>): void {
  Object.assign(fs, calls);
  syncBuiltinESMExports();
}
