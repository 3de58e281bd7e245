import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

import { expect } from 'chai';

import type { SystemCalls } from '../../src/device/system-calls.ts';
import { skipBecause } from '../support/skip.ts';
import { theCalls } from './scripted-calls.ts';
import { temporaryFolder } from './temporary-folder.ts';

const mebibyte = 2 ** 20;
const module = pathToFileURL(join(import.meta.dirname, '../../src/device/system-calls.js')).href;

describe('The system calls that Node lacks', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let calls: SystemCalls;
  let fd: number;

  before(function () {
    if (!theCalls) skipBecause(this, 'koffi is not installed, or this is not Linux');
    calls = theCalls;
  });

  beforeEach(async () => {
    folder = await temporaryFolder();
    const path = join(folder.path, 'file');
    writeFileSync(path, new Uint8Array(mebibyte).fill(7));
    fd = openSync(path, 'r+');
  });

  afterEach(async () => {
    closeSync(fd);
    await folder.remove();
  });

  for (const how of ['punchHole', 'punchHoleInPool'] as const)
    it(`${how} gives space back and keeps the size`, async () => {
      const before = fstatSync(fd);
      await calls[how](fd, 65_536, 131_072);
      const after = fstatSync(fd);
      expect([after.size, (before.blocks - after.blocks) * 512]).to.deep.equal([mebibyte, 131_072]);
      expect([calls.seekHole(fd, 0), calls.seekData(fd, 65_536), calls.seekHole(fd, 196_608)]).to.deep.equal([65_536, 196_608, mebibyte]);
    });

  it('takes places of more than 32 bits', async () => {
    calls.punchHole(fd, 2 ** 40, 4096);
    await calls.punchHoleInPool(fd, 2 ** 40, 4096);
    expect(fstatSync(fd).size).to.equal(mebibyte);
  });

  it('fails as calls of Node do, also where many fail at once', async () => {
    expect(() => calls.seekData(fd, mebibyte))
      .to.throw()
      .that.includes({ code: 'ENXIO', syscall: 'lseek' });
    expect(() => calls.punchHole(fd, 0, 0))
      .to.throw()
      .that.includes({ code: 'EINVAL', syscall: 'fallocate' });
    const failures = await Promise.allSettled(
      Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? calls.punchHoleInPool(fd, 0, 0) : calls.punchHoleInPool(-1, 0, 512))),
    );
    const codes = failures.map((failure) => (failure.status === 'rejected' ? (failure.reason as { code: string }).code : 'none'));
    expect(codes.filter((code, at) => code !== (at % 2 === 0 ? 'EINVAL' : 'EBADF'))).to.deep.equal([]);
  });

  it('works in threads, and a thread that is ended takes nothing down', async () => {
    const source = `
      import { parentPort, workerData } from 'node:worker_threads';
      const { systemCalls } = await import(workerData.module);
      const calls = systemCalls();
      calls.punchHole(workerData.fd, 0, 65536);
      for (let count = 0; count < 200; count += 1) void calls.punchHoleInPool(workerData.fd, 65536, 65536);
      parentPort.postMessage(calls.seekData(workerData.fd, 0));`;
    for (let round = 0; round < 3; round += 1) {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: { module, fd } });
      const [data] = (await once(worker, 'message')) as [number];
      expect(data).to.be.oneOf([65_536, 131_072]);
      await worker.terminate();
    }
  });

  it('are looked for in vain, without an error, where koffi is not installed', () => {
    const source = `
      import Module from 'node:module';
      const load = Module._load;
      Module._load = (name, ...rest) => { if (name === 'koffi') throw new Error('Cannot find module'); return load(name, ...rest); };
      const { systemCalls } = await import(${JSON.stringify(module)});
      console.log(systemCalls() === null);`;
    expect(execFileSync(process.execPath, ['--input-type=module', '--eval', source]).toString().trim()).to.equal('true');
  });
});
