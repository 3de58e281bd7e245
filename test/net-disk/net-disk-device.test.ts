import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import type { BlockDevice } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { devicePromises } from '../../src/device/promises.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { NetDiskDevice } from '../../src/net-disk/net-disk-device.ts';
import type { NetDiskDeviceLimits } from '../../src/net-disk/net-disk-device.ts';
import { NetDiskServer } from '../../src/net-disk/net-disk-server.ts';
import { deviceConformance } from '../../src/testing/device-conformance.ts';
import { temporaryFolder } from '../device/temporary-folder.ts';

const sizeBytes = 256 * 1024;
const block = 4096;
const filled = (value: number): Uint8Array => new Uint8Array(block).fill(value);

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof HotMirrorError ? error.code : String(error)),
  );

deviceConformance(
  { describe, it },
  {
    name: 'NetDiskDevice',
    async create() {
      const folder = await temporaryFolder();
      const socket = path.join(folder.path, 'd');
      const server = await NetDiskServer.listen({ listen: { path: socket }, clock: systemClock });
      server.add({ name: 'd', device: new MemoryDevice({ sizeBytes }) });
      const open = (): Promise<NetDiskDevice> => NetDiskDevice.open(`nbd+unix:///d?socket=${socket}`, { clock: systemClock });
      const dispose = async (): Promise<void> => {
        await server.close();
        await folder.remove();
      };
      return { device: await open(), reopen: open, dispose };
    },
  },
);

/** A server behind a proxy that can cut its connections; its disk forgets what was not flushed when `crash` is called. */
class CuttableServer {
  readonly uri: string;
  readonly #proxy: Server;
  readonly #sockets: Set<Socket> = new Set();
  readonly #folder: Awaited<ReturnType<typeof temporaryFolder>>;
  /** Refuses connections. */
  down = false;
  /** Swallows what the server says. */
  silent = false;

  private constructor(folder: Awaited<ReturnType<typeof temporaryFolder>>) {
    this.#folder = folder;
    this.uri = `nbd+unix:///d?socket=${path.join(folder.path, 'proxy')}`;
    this.#proxy = createServer((client) => {
      if (this.down) {
        client.destroy();
        return;
      }
      const server = connect(path.join(folder.path, 'd'));
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (bytes) => (from === server && this.silent ? undefined : to.write(bytes)));
        from.on('error', () => undefined).on('close', () => to.destroy());
      }
    });
  }

  static async start(device: BlockDevice): Promise<{ readonly server: NetDiskServer; readonly proxy: CuttableServer }> {
    const folder = await temporaryFolder();
    const server = await NetDiskServer.listen({ listen: { path: path.join(folder.path, 'd') }, clock: systemClock });
    server.add({ name: 'd', device });
    const proxy = new CuttableServer(folder);
    await new Promise<void>((resolve) => proxy.#proxy.listen(path.join(folder.path, 'proxy'), resolve));
    return { server, proxy };
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  async end(): Promise<void> {
    this.cut();
    this.#proxy.close();
    await rm(this.#folder.path, { recursive: true, force: true });
  }
}

/** A disk with a cache that a crash of its server loses. */
class CachingDevice extends MemoryDevice {
  readonly durable: Uint8Array = new Uint8Array(sizeBytes);

  override write(...[offsetBytes, from, options, done]: Parameters<BlockDevice['write']>): void {
    super.write(offsetBytes, from, options, done);
    if (options.fua === true) this.durable.set(from, offsetBytes);
  }

  override flush(done: Parameters<BlockDevice['flush']>[0]): void {
    this.durable.set(this.contents);
    super.flush(done);
  }

  crash(): void {
    this.contents.set(this.durable);
  }
}

describe('A net disk as an element', () => {
  let device: CachingDevice;
  let server: NetDiskServer;
  let proxy: CuttableServer;
  let disk: NetDiskDevice;
  const opened = async (limits: Partial<NetDiskDeviceLimits> = {}): Promise<ReturnType<typeof devicePromises>> => {
    disk = await NetDiskDevice.open(proxy.uri, { clock: systemClock, limits });
    return devicePromises(disk);
  };

  beforeEach(async () => {
    device = new CachingDevice({ sizeBytes });
    ({ server, proxy } = await CuttableServer.start(device));
  });

  afterEach(async () => {
    await disk.close();
    await proxy.end();
    await server.close();
  });

  it('goes on after its connection was lost, with what had no answer', async () => {
    const use = await opened();
    await use.write(0, filled(1));
    const writes = Array.from({ length: 20 }, (_, at) => use.write(at * block, filled(at + 2)));
    proxy.cut();
    await Promise.all(writes);
    for (let at = 0; at < 20; at += 1) expect((await use.read(at * block, block))[0]).to.equal(at + 2);
  });

  it('writes again what a server that crashed has lost, and no flush had covered', async () => {
    const use = await opened();
    await use.write(0, filled(1));
    await use.flush();
    await use.write(block, filled(2));
    await use.write(0, filled(3));
    await use.write(0, filled(4), { fua: true });
    proxy.cut();
    device.crash();
    expect(device.contents[block]).to.equal(0);
    await use.flush();
    expect([device.durable[0], device.durable[block]]).to.deep.equal([4, 2]);
  });

  it('flushes by itself before it has to keep too much', async () => {
    const use = await opened({ unflushedBytes: 4 * block });
    for (let at = 0; at < 20; at += 1) await use.write(at * block, filled(at + 1));
    while (device.durable[4 * block] === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(device.durable[0]).to.equal(1);
  });

  it('keeps the order of writes that overlap, whatever the server does', async () => {
    const use = await opened();
    await Promise.all(Array.from({ length: 50 }, (_, at) => use.write(0, filled(at))));
    expect((await use.read(0, block))[0]).to.equal(49);
  });

  it('leaves a server that owes an answer and says nothing, and goes on once it speaks again', async () => {
    const use = await opened({ silenceMs: 100, connectDeadlineMs: 200 });
    proxy.silent = true;
    const written = use.write(0, filled(5));
    await new Promise((resolve) => setTimeout(resolve, 50));
    setTimeout(() => (proxy.silent = false), 150);
    await written;
    expect((await use.read(0, block))[0]).to.equal(5);
  });

  it('fails for good once its server stays away', async () => {
    const use = await opened({ reconnectMs: 300 });
    proxy.down = true;
    proxy.cut();
    expect(await codeOf(use.write(0, filled(1)))).to.equal('HM_IO_WRITE');
    proxy.down = false;
    expect([await codeOf(use.read(0, block)), await codeOf(use.flush())]).to.deep.equal(['HM_IO_READ', 'HM_IO_FLUSH']);
  });

  it('fails for good after a flush that failed', async () => {
    const use = await opened();
    await use.write(0, filled(1));
    device.flush = (done) => done(new HotMirrorError('HM_IO_FLUSH', 'the disk says no'));
    expect(await codeOf(use.flush())).to.equal('HM_IO_FLUSH');
    device.flush = (done) => done(null);
    expect(await codeOf(use.flush())).to.equal('HM_IO_FLUSH');
  });

  it('is not opened where it could not be trusted', async () => {
    await opened();
    server.add({ name: 'read-only', device, readOnly: true });
    const other = (name: string): string => proxy.uri.replace('/d?', `/${name}?`);
    const open = (uri: string): Promise<string> => codeOf(NetDiskDevice.open(uri, { clock: systemClock }));
    expect(await open(other('read-only'))).to.equal('HM_NOT_SUPPORTED');
    expect(await open(other('none'))).to.equal('HM_DEVICE_NOT_FOUND');
    expect(await open('nbds://localhost/d')).to.equal('HM_NOT_SUPPORTED');
    expect(await open('http://localhost/d')).to.equal('HM_ADDRESS');
    expect(await open('nbd+unix:///d?socket=/nowhere/at/all')).to.equal('HM_CONNECT_FAILED');
  });
});
