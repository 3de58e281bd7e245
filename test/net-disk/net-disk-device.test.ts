import { createServer } from 'node:net';
import path from 'node:path';

import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { devicePromises } from '../../src/device/promises.ts';
import type { DevicePromises } from '../../src/device/promises.ts';
import { HotMirrorError } from '../../src/errors.ts';
import type { NetDiskDeviceLimits } from '../../src/net-disk/client-limits.ts';
import { NetDiskDevice } from '../../src/net-disk/net-disk-device.ts';
import type { NetDiskDeviceOptions } from '../../src/net-disk/net-disk-device.ts';
import { NetDiskServer } from '../../src/net-disk/net-disk-server.ts';
import { commands, errors, magic, optionReplies, transmissionFlags } from '../../src/net-disk/protocol.ts';
import { deviceConformance } from '../../src/testing/device-conformance.ts';
import { temporaryFolder } from '../device/temporary-folder.ts';
import { bytesOf } from './support/nbd-bytes.ts';
import { ScriptedServer } from './support/scripted-server.ts';
import type { ServerRequest } from './support/scripted-server.ts';

const sizeBytes = 256 * 1024;
const block = 512;
const filled = (value: number, lengthBytes = block): Uint8Array => new Uint8Array(lengthBytes).fill(value);

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof HotMirrorError ? error.code : String(error)),
  );

/** Makes a server listen; gives how to end it. */
type Serve = (socket: string) => Promise<() => Promise<unknown>>;

const servers: Readonly<Record<string, Serve>> = {
  'NetDiskDevice of the own server': async (socket) => {
    const server = await NetDiskServer.listen({ listen: { path: socket }, clock: systemClock });
    server.add({ name: 'd', device: new MemoryDevice({ sizeBytes }) });
    return () => server.close();
  },
  'NetDiskDevice of a server that knows no FUA, TRIM or WRITE_ZEROES, and takes only small requests': async (socket) => {
    const server = await ScriptedServer.listen(socket, sizeBytes);
    server.flags = transmissionFlags.hasFlags | transmissionFlags.sendFlush;
    server.blocks = [512, 512, 2048];
    return () => server.stop();
  },
};

for (const [name, serve] of Object.entries(servers))
  deviceConformance(
    { describe, it },
    {
      name,
      async create() {
        const folder = await temporaryFolder();
        const socket = path.join(folder.path, 'd');
        const end = await serve(socket);
        const open = (): Promise<NetDiskDevice> => NetDiskDevice.open(`nbd+unix:///d?socket=${socket}`, { clock: systemClock });
        const dispose = async (): Promise<void> => {
          await end();
          await folder.remove();
        };
        return { device: await open(), reopen: open, dispose };
      },
    },
  );

describe('A net disk as an element', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let server: ScriptedServer;
  let disk: NetDiskDevice | null = null;
  const uri = (): string => `nbd+unix:///d?socket=${path.join(folder.path, 'd')}`;
  const opened = async (limits: Partial<NetDiskDeviceLimits> = {}): Promise<DevicePromises> => {
    disk = await NetDiskDevice.open(uri(), { clock: systemClock, limits });
    return devicePromises(disk);
  };

  beforeEach(async () => {
    folder = await temporaryFolder();
    server = await ScriptedServer.listen(path.join(folder.path, 'd'), sizeBytes);
  });

  afterEach(async () => {
    await server.stop();
    await disk?.close();
    await folder.remove();
  });

  it('sends no request larger than its server takes, nor any that is not in whole blocks of it', async () => {
    server.blocks = [1024, 4096, 3 * 1024];
    const use = await opened();
    expect(disk?.blockSizeBytes).to.equal(1024);
    expect(await codeOf(use.write(512, filled(1)))).to.equal('HM_UNALIGNED');
    await use.write(0, filled(1, 100 * 1024));
    expect(server.disk.subarray(0, 100 * 1024)).to.deep.equal(filled(1, 100 * 1024));
    expect(await use.read(0, 100 * 1024)).to.deep.equal(filled(1, 100 * 1024));
    expect(server.log.filter((line) => line.startsWith('w'))).to.have.lengthOf(34);
  });

  it('keeps the order of writes that overlap, whatever the server does', async () => {
    const held: ServerRequest[] = [];
    server.instead = (request) => {
      held.push(request);
      setTimeout(() => {
        const next = held.pop()!;
        next.reply(0, server.carryOut(next));
      }, 1);
      return true;
    };
    const use = await opened();
    await Promise.all(Array.from({ length: 50 }, (_, at) => use.write((at % 3) * block, filled(at, 2 * block))));
    server.instead = () => false;
    expect([0, 1, 2, 3].map((at) => server.disk[at * block])).to.deep.equal([48, 49, 49, 47]);
  });

  it('flushes after a write that must be durable, where its server knows no FUA', async () => {
    server.flags &= ~transmissionFlags.sendFua;
    const use = await opened();
    await use.write(0, filled(1), { fua: true });
    await use.writeZeroes(block, block, { fua: true });
    expect(server.log).to.deep.equal(['w1@0', 'flush', 'z@512', 'flush']);
    server.instead = ({ command, reply }) => {
      if (command === commands.write) reply(errors.ENOSPC);
      return command === commands.write;
    };
    expect(await codeOf(use.write(0, filled(2), { fua: true }))).to.equal('HM_NO_SPACE');
  });

  it('flushes by itself before it has to keep too much, and lets writes wait for that', async () => {
    const use = await opened({ unflushedBytes: 8 * block });
    const held: ServerRequest[] = [];
    server.instead = (request) => request.command === commands.flush && held.push(request) > 0;
    const writes = Array.from({ length: 20 }, (_, at) => use.write(at * block, filled(at + 1)));
    await Promise.all(writes.slice(0, 8));
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(server.log.filter((line) => line.startsWith('w'))).to.have.lengthOf(8);
    server.instead = () => false;
    held[0]!.reply(0, server.carryOut(held[0]!));
    await Promise.all(writes);
    expect(server.durable[0]).to.equal(1);
  });

  it('flushes by itself also where what it has to keep is many trims and zeroes', async () => {
    const use = await opened();
    for (let round = 0; round < 42; round += 1)
      await Promise.all(
        Array.from({ length: 100 }, (_, at) => (at % 2 ? use.trim(at * block, block) : use.writeZeroes(at * block, block))),
      );
    expect(server.log.filter((line) => line === 'flush')).to.have.lengthOf(1);
  });

  it('has few requests at its server at once, and refuses more than may wait: HM_BUSY', async () => {
    await opened({ reconnectMs: 200 });
    server.instead = () => true;
    const codes: (string | null)[] = [];
    for (let at = 0; at < 131_073; at += 1) disk!.read(0, filled(0), (error) => codes.push(error?.code ?? null));
    expect(codes).to.deep.equal(['HM_BUSY']);
    while (server.log.length < 128) await new Promise((resolve) => setImmediate(resolve));
    expect(server.log).to.have.lengthOf(128);
    server.refusal = optionReplies.shutdown;
    server.cut();
    await disk!.close();
    expect(codes).to.have.lengthOf(131_073);
  });

  it('fails for good after a flush that failed', async () => {
    const use = await opened();
    await use.write(0, filled(1));
    server.instead = ({ command, reply }) => {
      if (command === commands.flush) reply(errors.EIO);
      return command === commands.flush;
    };
    expect(await codeOf(use.flush())).to.equal('HM_IO_FLUSH');
    server.instead = () => false;
    expect([await codeOf(use.flush()), await codeOf(use.write(0, filled(1)))]).to.deep.equal(['HM_IO_FLUSH', 'HM_IO_WRITE']);
  });

  it('fails where its server answers what it was not asked', async () => {
    const use = await opened({ reconnectMs: 300 });
    server.instead = ({ reply }) => {
      reply(0);
      reply(0);
      return true;
    };
    await use.write(0, filled(1));
    expect(await codeOf(use.write(0, filled(2)))).to.equal('HM_IO_WRITE');
  });

  it('is not opened where it could not be trusted', async () => {
    const open = (at = uri()): Promise<string> =>
      codeOf(NetDiskDevice.open(at, { clock: systemClock, limits: { connectDeadlineMs: 500 } }));
    server.flags |= transmissionFlags.readOnly;
    expect(await open()).to.equal('HM_DEVICE_ACCESS');
    server.flags = transmissionFlags.hasFlags | transmissionFlags.sendFua;
    expect(await open()).to.equal('HM_NOT_SUPPORTED');
    for (const [refusal, code] of [
      [optionReplies.unknown, 'HM_DEVICE_NOT_FOUND'],
      [optionReplies.tlsRequired, 'HM_NOT_SUPPORTED'],
      [optionReplies.policy, 'HM_DEVICE_ACCESS'],
      [optionReplies.server, 'HM_DEVICE_ACCESS'],
    ] as const) {
      server.refusal = refusal;
      expect(await open()).to.equal(code);
    }
    expect(await open('nbds://localhost/d')).to.equal('HM_NOT_SUPPORTED');
    expect(await open('http://localhost/d')).to.equal('HM_ADDRESS');
    expect(await open('nbd+unix:///d?socket=/nowhere/at/all')).to.equal('HM_CONNECT_FAILED');
    while (server.clients > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('gives up a server that stops in the middle of what it says, and everything else goes on meanwhile', async () => {
    const greeting = bytesOf([64, magic.server], [64, magic.option], [16, 3]);
    const stopped = createServer((socket) => void socket.on('error', () => undefined).write(greeting.subarray(0, 5)));
    const at = path.join(folder.path, 'half');
    await new Promise<void>((resolve) => stopped.listen(at, resolve));
    let turns = 0;
    const turning = setInterval(() => (turns += 1), 1);
    const opened = NetDiskDevice.open(`nbd+unix:///d?socket=${at}`, { clock: systemClock, limits: { connectDeadlineMs: 100 } });
    expect(await codeOf(opened)).to.equal('HM_CONNECT_FAILED');
    clearInterval(turning);
    expect(turns).to.be.above(10);
    await new Promise((resolve) => stopped.close(resolve));
  });

  it('rejects with TypeError for no clock, and connects to nobody', async () => {
    expect(await codeOf(NetDiskDevice.open(uri(), {} as NetDiskDeviceOptions))).to.match(/^TypeError: clock/u);
    expect(await codeOf(NetDiskDevice.open(uri(), undefined as unknown as NetDiskDeviceOptions))).to.match(/^TypeError: clock/u);
    expect(server.connections).to.equal(0);
  });

  it('throws RangeError for limits that cannot be', async () => {
    expect(await codeOf(opened({ silenceMs: 0 }))).to.contain('RangeError');
    expect(await codeOf(opened({ silence: 1 } as Partial<NetDiskDeviceLimits>))).to.equal('RangeError: there is no limits.silence');
  });

  it('says what leads out where its export cannot be used', async () => {
    const remedyOf = (at = uri()): Promise<string> =>
      NetDiskDevice.open(at, { clock: systemClock }).then(
        () => 'none',
        (error: unknown) => (error as HotMirrorError).remedy,
      );
    server.flags |= transmissionFlags.readOnly;
    expect(await remedyOf()).to.contain('have the server export it for writing');
    server.refusal = optionReplies.unknown;
    expect(await remedyOf()).to.contain('`nbdinfo --list`');
    expect(
      await codeOf(
        NetDiskDevice.open('nbd://127.0.0.1:99999/m', { clock: systemClock }).catch((error: unknown) =>
          Promise.reject(new Error((error as Error).message)),
        ),
      ),
    ).to.equal('Error: nbd://127.0.0.1:99999/m: 99999 is no port: the largest is 65535');
    while (server.clients > 0) await new Promise((resolve) => setImmediate(resolve));
  });
});
