import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect } from 'chai';

import { DurableRecord } from '../../src/device/durable-record.ts';
import { devicePromises } from '../../src/device/promises.ts';
import { openStateFile } from '../../src/device/state-file.ts';
import { deviceConformance } from '../../src/testing/device-conformance.ts';
import { refusal } from './refusal.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { skipBecause } from '../support/skip.ts';

const sizeBytes = 256 * 1024;

deviceConformance(
  { describe, it },
  {
    name: 'state file',
    async create() {
      const folder = await temporaryFolder();
      const path = join(folder.path, 'state', 'm0.meta');
      return { device: await openStateFile(path, sizeBytes), reopen: () => openStateFile(path, sizeBytes), dispose: folder.remove };
    },
  },
);

describe('openStateFile', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let path: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder.path, 'a', 'state', 'pair.record');
  });
  afterEach(() => folder.remove());

  it('creates file and folders for the owner only, whole and zero, and nothing else', async () => {
    const device = await openStateFile(path, 8192);
    const bytes = await readFile(path);
    expect(bytes.equals(Buffer.alloc(8192))).to.equal(true);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect((await stat(path)).blocks * 512).to.be.at.least(8192);
    expect((await stat(join(path, '..'))).mode & 0o777).to.equal(0o700);
    expect(await readdir(join(path, '..'))).to.deep.equal(['pair.record']);
    await device.close();
  });

  it('does not block the calling thread', async () => {
    const device = await openStateFile(path, 8192);
    expect(device.capabilities.synchronous).to.equal(false);
    let ended = false;
    device.read(0, new Uint8Array(512), () => (ended = true));
    expect(ended).to.equal(false);
    await device.close();
    expect(ended).to.equal(true);
  });

  it('keeps a record from one opening to the next', async () => {
    const layout = { offsetBytes: 0, slotBytes: 4096, magic: 'HMRECORD', version: 1 };
    for (let count = 0; count < 4; count += 1) {
      const device = await openStateFile(path, 8192);
      const record = await DurableRecord.load(device, layout);
      expect(record.sequence).to.equal(count);
      await record.write(new Uint8Array([count]));
      await device.close();
    }
  });

  it('opens a file once', async () => {
    const device = await openStateFile(path, 8192);
    expect(await refusal(openStateFile(path, 8192))).to.equal('HM_DEVICE_IN_USE');
    await device.close();
  });

  it('takes as much of a longer file as asked', async () => {
    const longer = await openStateFile(path, 16384);
    await devicePromises(longer).write(8192, new Uint8Array(512).fill(1));
    await longer.close();
    const device = await openStateFile(path, 8192);
    expect(device.sizeBytes).to.equal(8192);
    expect(await refusal(devicePromises(device).read(8192, 512))).to.equal('HM_OUT_OF_RANGE');
    await device.close();
    expect((await stat(path)).size).to.equal(16384);
  });

  it('takes the whole of a longer file where it is asked for at least so much, and is enlarged with zeroes', async () => {
    await (await openStateFile(path, 8192)).close();
    const device = await openStateFile(path, 16384, { leastBytes: 4096 });
    expect(device.sizeBytes).to.equal(8192);
    await device.enlarge?.(12288);
    expect([device.sizeBytes, (await stat(path)).size]).to.deep.equal([12288, 12288]);
    expect((await devicePromises(device).read(8192, 4096)).every((byte) => byte === 0)).to.equal(true);
    await device.close();
  });

  it('takes a file that is too short for damaged, never for new: it is left as it is', async () => {
    await (await openStateFile(path, 8192)).close();
    for (const left of [4096, 0]) {
      await truncate(path, left);
      expect(await refusal(openStateFile(path, 8192))).to.equal('HM_METADATA_CORRUPT');
      expect((await stat(path)).size).to.equal(left);
    }
  });

  it('is HM_STATE_UNWRITABLE where no file can be', async () => {
    await writeFile(join(folder.path, 'file'), '');
    await mkdir(join(folder.path, 'folder'));
    for (const wrong of [join(folder.path, 'file', 'below'), join(folder.path, 'folder'), '/proc/hotmirror/state', '/dev/null']) {
      expect(await refusal(openStateFile(wrong, 8192)), wrong).to.equal('HM_STATE_UNWRITABLE');
    }
  });

  it('is HM_STATE_UNWRITABLE in a folder that may not be written', async function () {
    if (process.getuid?.() === 0) skipBecause(this, 'root may write everywhere');
    await mkdir(join(folder.path, 'a'), { mode: 0o500 });
    expect(await refusal(openStateFile(path, 8192))).to.equal('HM_STATE_UNWRITABLE');
    await chmod(join(folder.path, 'a'), 0o700);
  });

  it('follows no symbolic link', async () => {
    await mkdir(join(folder.path, 'a', 'state'), { recursive: true });
    const target = join(folder.path, 'target');
    await symlink(target, path);
    expect(await refusal(openStateFile(path, 8192))).to.equal('HM_STATE_UNWRITABLE');
    expect(existsSync(target)).to.equal(false);
    await writeFile(target, new Uint8Array(8192));
    expect(await refusal(openStateFile(path, 8192))).to.equal('HM_STATE_UNWRITABLE');
  });

  it('refuses more requests than it may hold: HM_BUSY, and carries out the rest', async () => {
    const device = await openStateFile(path, 8192);
    const io = devicePromises(device);
    const outcomes = await Promise.all(
      Array.from({ length: 4100 }, () =>
        io.read(0, 512).then(
          () => 'read',
          (error: unknown) => (error as { code: string }).code,
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'HM_BUSY')).to.have.length(4);
    expect(outcomes.filter((outcome) => outcome === 'read')).to.have.length(4096);
    await device.close();
  });

  it('throws RangeError for sizes that cannot be', async () => {
    for (const wrong of [0, -512, 100, NaN, Infinity]) {
      expect(await openStateFile(path, wrong).catch((error: unknown) => error)).to.be.instanceOf(RangeError);
    }
  });
});
