import { existsSync } from 'node:fs';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import type { AllocationPiece, BlockDevice } from '../../src/device/block-device.ts';
import { DirectDevice } from '../../src/device/direct.ts';
import { FileDevice } from '../../src/device/file.ts';
import { devicePromises } from '../../src/device/promises.ts';
import type { SystemCalls } from '../../src/device/system-calls.ts';
import { skipBecause } from '../support/skip.ts';
import { attachLoop, detachLoop } from './loop-device.ts';
import { refusal } from './refusal.ts';
import { scriptedCalls, systemError, theCalls } from './scripted-calls.ts';
import { temporaryFolder } from './temporary-folder.ts';

const kibibyte = 1024;
const mebibyte = kibibyte * kibibyte;
const sizeBytes = mebibyte;
const parents = [tmpdir(), '/dev/shm'].filter((parent) => existsSync(parent));
const full = new Uint8Array(sizeBytes).fill(7);

const kinds: readonly [string, (calls: SystemCalls | null, path: string) => Promise<BlockDevice>][] = [
  ['FileDevice', (calls, path) => FileDevice.openBy(calls, path)],
  ['DirectDevice', (calls, path) => DirectDevice.openBy(calls, path)],
];

/** Calls that punch nothing, and fail so within the file. */
function failing(errno: string): SystemCalls {
  return scriptedCalls({
    punchHole: (_fd, offsetBytes) => {
      if (offsetBytes < sizeBytes) throw systemError(errno);
    },
  });
}

/** As many bytes as the file takes on its disk. */
async function takenBytes(path: string): Promise<number> {
  return (await stat(path)).blocks * 512;
}

/** What the device says of the range, in KiB; those of holes in brackets. */
function told(device: BlockDevice, offsetBytes = 0, lengthBytes: number = device.sizeBytes, mostPieces = 100): string {
  const pieces: readonly AllocationPiece[] = device.allocation?.(offsetBytes, lengthBytes, mostPieces) ?? [];
  return pieces.map((piece) => (piece.hole ? `[${String(piece.lengthBytes / kibibyte)}]` : String(piece.lengthBytes / kibibyte))).join(' ');
}

for (const [kind, open] of kinds)
  for (const parent of parents)
    describe(`Holes of a ${kind} in ${parent}`, () => {
      let folder: Awaited<ReturnType<typeof temporaryFolder>>;
      let path: string;
      let device: BlockDevice;
      let io: ReturnType<typeof devicePromises>;

      const use = async (calls: SystemCalls | null): Promise<void> => {
        device = await open(calls, path);
        io = devicePromises(device);
      };

      before(async function () {
        const trial = await temporaryFolder(parent);
        await writeFile(join(trial.path, 'element'), full);
        const reason = await open(null, join(trial.path, 'element')).then(
          (opened) => opened.close().then(() => null),
          (error: unknown) => (error as Error).message,
        );
        await trial.remove();
        if (reason !== null) skipBecause(this, `${kind} cannot be used in ${parent}: ${reason}`);
      });

      beforeEach(async () => {
        folder = await temporaryFolder(parent);
        path = join(folder.path, 'element');
        await writeFile(path, full);
      });

      afterEach(async () => {
        await device.close();
        await folder.remove();
      });

      it('are punched by zeroes that may be one and by a trim, and read as zeroes', async function () {
        if (!theCalls) skipBecause(this, 'koffi is not installed');
        await use(theCalls);
        expect(device.capabilities).to.include({ trim: true, punchHole: true });
        await io.writeZeroes(64 * kibibyte, 64 * kibibyte);
        await io.trim(256 * kibibyte, 128 * kibibyte);
        await io.trim(0, 0);
        await io.flush();
        expect(await takenBytes(path)).to.equal(sizeBytes - 192 * kibibyte);
        const expected = full
          .slice()
          .fill(0, 64 * kibibyte, 128 * kibibyte)
          .fill(0, 256 * kibibyte, 384 * kibibyte);
        expect(Buffer.compare(await io.read(0, sizeBytes), expected)).to.equal(0);
        await io.write(300 * kibibyte, new Uint8Array(4 * kibibyte).fill(9), { fua: true });
        expect(await takenBytes(path)).to.equal(sizeBytes - 188 * kibibyte);
        expect((await stat(path)).size).to.equal(sizeBytes);
      });

      it('are none where zeroes must keep their space, and where the system calls are not there', async () => {
        await use(theCalls);
        expect(await new Promise((resolve) => device.writeZeroes(0, sizeBytes, { noHole: true, fua: true }, resolve))).to.equal(null);
        expect(await takenBytes(path)).to.be.at.least(sizeBytes);
        await device.close();
        await use(null);
        expect(device.capabilities).to.include({ trim: false, punchHole: false });
        await io.writeZeroes(0, sizeBytes);
        await io.flush();
        expect(await takenBytes(path)).to.be.at.least(sizeBytes);
        expect(await refusal(io.trim(0, 512))).to.equal('HM_NOT_SUPPORTED');
        expect(Buffer.compare(await readFile(path), new Uint8Array(sizeBytes))).to.equal(0);
      });

      it('are looked for without a change of the file, also of what follows its last whole block', async () => {
        await writeFile(path, full.subarray(0, sizeBytes - 100));
        for (const calls of [theCalls, failing('EIO')]) {
          await use(calls);
          await device.close();
          expect(Buffer.compare(await readFile(path), full.subarray(0, sizeBytes - 100))).to.equal(0);
        }
        expect(device.capabilities).to.include({ trim: false, punchHole: false });
      });

      for (const errno of ['ENOTSUP', 'EINVAL', 'ENOSPC', 'EIO'])
        it(`are written as zeroes where they cannot be punched after all (${errno}), in order with what overlaps`, async () => {
          await use(failing(errno));
          expect(device.capabilities).to.include({ trim: true, punchHole: true });
          const asked = [io.writeZeroes(0, sizeBytes, { fua: true }), io.write(4096, full.subarray(0, 512)), io.writeZeroes(8192, 0)];
          await Promise.all(asked);
          const expected = new Uint8Array(sizeBytes).fill(7, 4096, 4096 + 512);
          expect(Buffer.compare(await readFile(path), expected)).to.equal(0);
        });

      for (const [errno, code] of [
        ['ENOTSUP', 'HM_NOT_SUPPORTED'],
        ['ENOSYS', 'HM_NOT_SUPPORTED'],
        ['ENOSPC', 'HM_NO_SPACE'],
        ['EIO', 'HM_IO_WRITE'],
      ] as const)
        it(`of a trim that fails with ${errno} are refused with ${code}, and it serves on`, async () => {
          await use(failing(errno));
          expect(await refusal(io.trim(0, 4096))).to.equal(code);
          expect(await refusal(io.trim(1, 4096))).to.equal('HM_UNALIGNED');
          expect(await refusal(io.trim(sizeBytes, 4096))).to.equal('HM_OUT_OF_RANGE');
          expect(Buffer.compare(await io.read(0, sizeBytes), full)).to.equal(0);
        });
    });

describe('What a file tells of its holes', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let path: string;
  let device: FileDevice;

  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder.path, 'element');
    await writeFile(path, full);
  });

  afterEach(async () => {
    await device.close();
    await folder.remove();
  });

  it('is as they are at once, before anything is flushed', async function () {
    if (!theCalls) skipBecause(this, 'koffi is not installed');
    await writeFile(path, new Uint8Array(0));
    await truncate(path, sizeBytes);
    device = await FileDevice.openBy(theCalls, path);
    if (told(device) !== '[1024]') skipBecause(this, 'the file system here is not one that is trusted');
    const io = devicePromises(device);
    await io.write(64 * kibibyte, full.subarray(0, 64 * kibibyte));
    expect(told(device)).to.equal('[64] 64 [896]');
    await io.write(256 * kibibyte, full.subarray(0, 4 * kibibyte));
    await io.writeZeroes(68 * kibibyte, 4 * kibibyte);
    expect(told(device)).to.equal('[64] 4 [4] 56 [128] 4 [764]');
    expect(told(device, 0, sizeBytes, 1)).to.equal('[64]');
    expect(told(device, 0, sizeBytes, 2)).to.equal('[64] 4');
    expect(told(device, 66 * kibibyte, 4 * kibibyte)).to.equal('2 [2]');
    expect(told(device, 128 * kibibyte, 64 * kibibyte)).to.equal('[64]');
  });

  it('is looked for once for a long run of data, until a hole is punched', async function () {
    let looks = 0;
    let holeAt = sizeBytes;
    const calls = scriptedCalls({
      punchHole: (_fd, offsetBytes) => {
        if (offsetBytes < sizeBytes) holeAt = offsetBytes;
      },
      seekData: (_fd, from) => (from < holeAt ? from : sizeBytes),
      seekHole: () => {
        looks += 1;
        return holeAt;
      },
    });
    device = await FileDevice.openBy(calls, path);
    for (let at = 0; at < sizeBytes; at += 4 * kibibyte) expect(told(device, at, 4 * kibibyte, 1)).to.equal('4');
    if (looks === 0) skipBecause(this, 'the file system here is not one that is trusted');
    expect(looks).to.equal(1);
    await devicePromises(device).trim(512 * kibibyte, 512 * kibibyte);
    expect(told(device)).to.equal('512 [512]');
    expect(told(device, 256 * kibibyte, 768 * kibibyte)).to.equal('256 [512]');
    expect(looks).to.equal(2);
  });

  it('is in whole blocks: one that holds any data is data', async function () {
    const at = (places: Readonly<Record<number, number>>) => (_fd: number, from: number) => places[from] ?? sizeBytes;
    // A file system with blocks of 1 KiB under a device with blocks of 4 KiB: data from 5 to 6 KiB, and from 7 KiB to 9 KiB.
    const calls = scriptedCalls({
      seekData: at({ 0: 5 * kibibyte, [4 * kibibyte]: 5 * kibibyte, [8 * kibibyte]: 8 * kibibyte }),
      seekHole: at({ [5 * kibibyte]: 6 * kibibyte, [8 * kibibyte]: 9 * kibibyte }),
    });
    device = await FileDevice.openBy(calls, path, { blockSizeBytes: 4 * kibibyte });
    if (told(device) === '1024') skipBecause(this, 'the file system here is not one that is trusted');
    expect(told(device)).to.equal('[4] 8 [1012]');
  });

  it('is that all is data where the calls fail, or make no sense', async () => {
    for (const calls of [
      null,
      scriptedCalls(),
      scriptedCalls({ seekData: () => 0 }),
      scriptedCalls({ seekData: () => 0, seekHole: () => 0 }),
      scriptedCalls({ seekData: (_fd, from) => from, seekHole: (_fd, from) => from }),
    ]) {
      device = await FileDevice.openBy(calls, path);
      expect(told(device)).to.equal('1024');
      expect(told(device, 0, 0)).to.equal('');
      await device.close();
      expect(told(device, 0, 4096)).to.equal('4');
    }
  });

  it('ends where the file was truncated: what is beyond cannot be read, and is no hole', async function () {
    if (!theCalls) skipBecause(this, 'koffi is not installed');
    await writeFile(path, new Uint8Array(0));
    await truncate(path, sizeBytes);
    device = await FileDevice.openBy(theCalls, path);
    if (told(device) !== '[1024]') skipBecause(this, 'the file system here is not one that is trusted');
    await truncate(path, 512 * kibibyte);
    expect(told(device)).to.equal('[512] 512');
  });
});

describe('Holes of a block device', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let backing: string;
  let loop: string | null;

  beforeEach(async function () {
    if (!theCalls) skipBecause(this, 'koffi is not installed');
    folder = await temporaryFolder();
    backing = join(folder.path, 'backing');
    await writeFile(backing, full);
    loop = attachLoop(backing);
    if (loop === null) {
      await folder.remove();
      skipBecause(this, 'no loop devices for this user here');
    }
  });

  afterEach(async () => {
    if (loop === null) return;
    detachLoop(loop);
    await folder.remove();
  });

  for (const [kind, open] of kinds)
    it(`are punched by a ${kind} where the device can, and it tells of none`, async function () {
      const device = await open(theCalls, loop ?? '');
      try {
        if (!device.capabilities.punchHole) skipBecause(this, 'the loop device here passes none on');
        const io = devicePromises(device);
        await io.writeZeroes(64 * kibibyte, 64 * kibibyte);
        await io.trim(512 * kibibyte, 128 * kibibyte);
        await io.flush();
        const expected = full
          .slice()
          .fill(0, 64 * kibibyte, 128 * kibibyte)
          .fill(0, 512 * kibibyte, 640 * kibibyte);
        expect(Buffer.compare(await io.read(0, sizeBytes), expected)).to.equal(0);
        expect(await takenBytes(backing)).to.equal(sizeBytes - 192 * kibibyte);
        expect(device.allocation?.(0, sizeBytes, 10) ?? [{ lengthBytes: sizeBytes, hole: false }]).to.deep.equal([
          { lengthBytes: sizeBytes, hole: false },
        ]);
      } finally {
        await device.close();
      }
    });
});
