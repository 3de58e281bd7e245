import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { link, rename, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { expect } from 'chai';

import { lockFile } from '../../src/device/element-lock.ts';
import { FileDevice } from '../../src/device/file.ts';
import { refusal } from './refusal.ts';
import { temporaryFolder } from './temporary-folder.ts';

const fileModule = new URL('../../src/device/file.js', import.meta.url).href;

/** A program that opens the element, says how that went, and then stays. */
const program = (path: string, say: string): string => `
  const { FileDevice } = await import(${JSON.stringify(fileModule)});
  await FileDevice.open(${JSON.stringify(path)}).then(() => ${say}('open'), (error) => ${say}(error.code));
`;

describe('element lock', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let path: string;
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder.path, 'element');
    await writeFile(path, new Uint8Array(512));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await folder.remove();
  });

  /** Opens the element in another process, which keeps it until it is killed. */
  async function openInProcess(): Promise<{ said: string; child: ChildProcess }> {
    const code = `${program(path, 'console.log')}; setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    return { said: said.toString().trim(), child };
  }

  async function openInWorker(): Promise<{ said: string; worker: Worker }> {
    const code = `import('node:worker_threads').then(async ({ parentPort }) => {
      parentPort.on('message', () => {});
      ${program(path, '((text) => parentPort.postMessage(text))')} });`;
    const worker = new Worker(code, { eval: true });
    const [said] = (await once(worker, 'message')) as [string];
    return { said, worker };
  }

  it('keeps a second process out', async () => {
    const device = await FileDevice.open(path);
    expect((await openInProcess()).said).to.equal('HM_DEVICE_IN_USE');
    await device.close();
    expect((await openInProcess()).said).to.equal('open');
    expect(await refusal(FileDevice.open(path))).to.equal('HM_DEVICE_IN_USE');
  });

  it('dies with its process, however it dies', async () => {
    const { child, said } = await openInProcess();
    expect(said).to.equal('open');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await FileDevice.open(path)).close();
  });

  it('keeps a worker thread out, and dies with the thread', async () => {
    const device = await FileDevice.open(path);
    const refused = await openInWorker();
    expect(refused.said).to.equal('HM_DEVICE_IN_USE');
    await refused.worker.terminate();
    await device.close();
    const holder = await openInWorker();
    expect(holder.said).to.equal('open');
    expect(await refusal(FileDevice.open(path))).to.equal('HM_DEVICE_IN_USE');
    await holder.worker.terminate();
    await (await FileDevice.open(path)).close();
  });

  it('belongs to the file, not to its name', async () => {
    const device = await FileDevice.open(path);
    const moved = join(folder.path, 'moved');
    const second = join(folder.path, 'second');
    await rename(path, moved);
    await link(moved, second);
    expect(await refusal(FileDevice.open(second))).to.equal('HM_DEVICE_IN_USE');
    await writeFile(path, new Uint8Array(512));
    await (await FileDevice.open(path)).close();
    await device.close();
  });

  it('gives itself to exactly one of many that ask at once', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 16 }, () => FileDevice.open(path)));
    const opened = outcomes.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value);
    expect(opened).to.have.length(1);
    await opened[0]?.close();
  });

  it('ends whatever connects to it', async () => {
    const { dev, ino } = await stat(path, { bigint: true });
    const lock = await lockFile({ dev, ino }, path);
    const socket = connect({ path: `\0hotmirror:element:${String(dev)}:${String(ino)}:`.padEnd(108, '-') });
    socket.on('error', () => undefined); // EPIPE or ECONNRESET, as it happens
    socket.write('hello');
    await new Promise((resolve) => socket.on('close', resolve));
    await lock.release();
  });
});
