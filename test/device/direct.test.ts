import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect } from 'chai';

import { AlignedMemory, slotBytes } from '../../src/device/aligned-memory.ts';
import { DirectDevice } from '../../src/device/direct.ts';
import { FileDevice } from '../../src/device/file.ts';
import { devicePromises } from '../../src/device/promises.ts';
import { deviceConformance } from '../../src/testing/device-conformance.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { skipBecause } from '../support/skip.ts';
import { skipWithoutDirectIo } from './direct-io.ts';
import { attachLoop, detachLoop } from './loop-device.ts';
import { refusal } from './refusal.ts';
import { theCalls } from './scripted-calls.ts';
import { temporaryFolder } from './temporary-folder.ts';

const sizeBytes = 256 * 1024;
const mebibyte = 2 ** 20;

describe('DirectDevice', () => {
  before(async function () {
    await skipWithoutDirectIo(this);
  });

  for (const [how, calls] of [
    ['without the system calls', null],
    ['with them', theCalls],
  ] as const)
    deviceConformance(
      { describe, it },
      {
        name: `DirectDevice ${how}`,
        async create() {
          const folder = await temporaryFolder();
          const path = join(folder.path, 'element');
          await writeFile(path, new Uint8Array(sizeBytes));
          const open = (): Promise<DirectDevice> => DirectDevice.openBy(calls, path);
          return { device: await open(), reopen: open, dispose: folder.remove };
        },
      },
    );

  describe('on a file', () => {
    let path: string;
    let remove: () => Promise<void>;

    beforeEach(async () => {
      const folder = await temporaryFolder();
      remove = folder.remove;
      path = join(folder.path, 'element');
      const handle = await open(path, 'w');
      await handle.truncate(4 * mebibyte);
      await handle.close();
    });

    afterEach(() => remove());

    it('moves what is longer than a piece of its memory, from and to any place in memory', async () => {
      const device = await DirectDevice.open(path);
      const promised = devicePromises(device);
      const memory = new Uint8Array(3 * slotBytes + 4096);
      const random = new SeededRandom(7);
      const written = memory.subarray(3, 3 + 3 * slotBytes - 512).map(() => random.below(256));
      await promised.write(512, written);
      expect(Buffer.compare(await promised.read(512, written.byteLength), written)).to.equal(0);
      await device.close();
      const cached = await FileDevice.open(path);
      expect(Buffer.compare(await devicePromises(cached).read(512, written.byteLength), written)).to.equal(0);
      await cached.close();
    });

    it('keeps the order of requests that overlap, however many there are', async () => {
      const device = await DirectDevice.open(path);
      const random = new SeededRandom(11);
      const model = new Uint8Array(64 * 512);
      const asked: Promise<void>[] = [];
      const promised = devicePromises(device);
      for (let count = 1; count <= 400; count += 1) {
        const first = random.below(60);
        const blocks = 1 + random.below(4);
        const bytes = new Uint8Array(blocks * 512).fill(count % 251);
        model.set(bytes, first * 512);
        asked.push(promised.write(first * 512, bytes));
      }
      const seen = promised.read(0, model.byteLength);
      await Promise.all(asked);
      expect(Buffer.compare(await seen, model)).to.equal(0);
      await device.close();
    });

    it('lets go of nothing while requests are under way, and takes none after', async () => {
      const device = await DirectDevice.open(path);
      const promised = devicePromises(device);
      const writes = Array.from({ length: 64 }, (_, at) => promised.write(at * 4096, new Uint8Array(4096).fill(at)));
      const closed = device.close();
      await Promise.all(writes);
      await closed;
      expect(await refusal(promised.read(0, 512))).to.equal('HM_CLOSED');
    });

    it('opens a block device, as large as it is', async function () {
      const loop = attachLoop(path);
      if (loop === null) skipBecause(this, 'no loop devices for this user here');
      try {
        const device = await DirectDevice.open(loop);
        expect(device.sizeBytes).to.equal(4 * mebibyte);
        const io = devicePromises(device);
        await io.write(4 * mebibyte - 512, new Uint8Array(512).fill(9), { fua: true });
        expect((await io.read(4 * mebibyte - 512, 512))[511]).to.equal(9);
        await device.refreshSize();
        expect(device.sizeBytes).to.equal(4 * mebibyte);
        await device.close();
      } finally {
        detachLoop(loop);
      }
    });

    it('is the only one that has the file open', async () => {
      const device = await DirectDevice.open(path);
      expect(await refusal(DirectDevice.open(path))).to.equal('HM_DEVICE_IN_USE');
      expect(await refusal(FileDevice.open(path))).to.equal('HM_DEVICE_IN_USE');
      await device.close();
    });
  });
});

describe('AlignedMemory', () => {
  it('gives each slot to one at a time', () => {
    const memory = new AlignedMemory(2);
    const [first, second] = [memory.take(), memory.take()];
    expect([first?.bytes.byteLength, second?.bytes.byteLength, memory.take()]).to.deep.equal([slotBytes, slotBytes, null]);
    expect(first?.bytes.byteOffset).not.to.equal(second?.bytes.byteOffset);
    if (first) memory.give(first);
    expect(memory.take()).to.equal(first);
  });
});
