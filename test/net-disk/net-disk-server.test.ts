import { readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import path from 'node:path';

import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import type { BlockDevice } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { NetDiskDevice } from '../../src/net-disk/net-disk-device.ts';
import type { NetDiskExport } from '../../src/net-disk/net-disk-export.ts';
import { NetDiskServer } from '../../src/net-disk/net-disk-server.ts';
import type { NetDiskServerOptions } from '../../src/net-disk/net-disk-server.ts';
import { commands, errors, optionReplies, options } from '../../src/net-disk/protocol.ts';
import { copiedInto } from '../../src/net-disk/socket-intake.ts';
import { withFolder } from '../node/temporary-folder.ts';
import { skipBecause } from '../support/skip.ts';
import { bytesOf, clientFlags, go, request } from './support/nbd-bytes.ts';
import { NbdClient } from './support/nbd-client.ts';

const sizeBytes = 2 ** 20;
const block = 4096;
const simpleReplyBytes = 16;
const { read, write, flush, disconnect } = commands;
const filled = (value: number, lengthBytes = block): Uint8Array => new Uint8Array(lengthBytes).fill(value);

/** A server at a unix socket, with one export. */
async function serving(
  use: (server: NetDiskServer, device: MemoryDevice) => Promise<void>,
  rest: Partial<NetDiskServerOptions> = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const server = await NetDiskServer.listen({ listen: { path: path.join(folder, 'd.nbd') }, clock: systemClock, ...rest });
    const device = new MemoryDevice({ sizeBytes });
    server.add({ name: 'd', device });
    try {
      await use(server, device);
    } finally {
      await server.close();
    }
  });
}

/** Whether the system watches both ends of the one connection to this port, by a timer of half a minute or more: no other timer of an idle connection is as long. */
async function keepAliveTimers(port: number): Promise<{ readonly server: boolean; readonly client: boolean }> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/u));
  const watched = (column: number): boolean =>
    rows.some(
      (row) =>
        row[column]?.endsWith(`:${hex}`) && row[3] === '01' && row[5]?.startsWith('02:') && Number.parseInt(row[5].slice(3), 16) > 3_000,
    );
  return { server: watched(1), client: watched(2) };
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof HotMirrorError ? error.code : String(error)),
  );

describe('A net disk server', () => {
  it('serves several clients, which see what the others wrote', () =>
    serving(async (server) => {
      const [one, two] = await Promise.all([NbdClient.using(server.address, 'd'), NbdClient.using(server.address, 'd')]);
      one.send(request(write, { cookie: 1n, offsetBytes: block, payload: filled(5) }));
      expect(await one.reply(simpleReplyBytes)).to.include({ cookie: 1n, error: 0 });
      two.send(request(read, { cookie: 2n, offsetBytes: block, lengthBytes: block }));
      expect((await two.reply(28 + block)).data.every((byte) => byte === 5)).to.equal(true);
      expect(server.connections).to.equal(2);
    }));

  it('serves over TCP too, on loopback and nowhere else without TLS', async () => {
    const options = { clock: systemClock };
    expect(await codeOf(NetDiskServer.listen({ ...options, listen: { host: '0.0.0.0', port: 0 } }))).to.equal('HM_UNAUTHENTICATED_BIND');
    const server = await NetDiskServer.listen({ ...options, listen: { host: '127.0.0.1', port: 0 } });
    server.add({ name: 'd', device: new MemoryDevice({ sizeBytes }) });
    const client = await NbdClient.using(server.address, 'd');
    client.send(request(flush, { cookie: 1n }));
    expect(await client.reply(simpleReplyBytes)).to.include({ cookie: 1n, error: 0 });
    await server.close();
    await client.end();
  });

  it('is refused at once, and leaves nothing behind, without a clock or with what has another type than is declared', () =>
    withFolder(async (folder) => {
      const whole = { listen: { path: path.join(folder, 'd.nbd') }, clock: systemClock };
      const keyed = (psk: unknown): object => ({ ...whole, tls: { mode: 'required', credentials: { psk } } });
      const wrong: readonly (readonly [object, RegExp])[] = [
        [{ listen: whole.listen }, /^TypeError: clock must be a Clock/u],
        [{ ...whole, clock: Date }, /^TypeError: clock/u],
        [{ clock: systemClock }, /^TypeError: listen/u],
        [{ ...whole, listen: { port: 0 } }, /^TypeError: listen/u],
        [keyed({ alice: 'secret' }), /^TypeError: tls\.credentials\.psk must be a Map/u],
        [keyed('secret'), /^TypeError: tls\.credentials\.psk must be a Map/u],
        [keyed(undefined), /^TypeError: tls\.credentials\.psk must be a Map/u],
        [keyed(new Map([['alice', 'secret']])), /^TypeError: tls\.credentials\.psk must have .* Uint8Array/u],
        [keyed(new Map([[7, filled(7, 16)]])), /^TypeError: tls\.credentials\.psk must have a string/u],
        [{ ...whole, tls: { mode: 'required' } }, /^TypeError: tls\.credentials\.key/u],
        [{ ...whole, tls: { mode: 'must', credentials: { psk: new Map() } } }, /^RangeError: tls\.mode/u],
        [undefined as unknown as object, /^TypeError: listen/u],
        [{ ...whole, listen: { host: '127.0.0.1', port: 99_999 } }, /^RangeError: listen\.port/u],
        [{ ...whole, listen: { host: '127.0.0.1', port: 1.5 } }, /^RangeError: listen\.port/u],
        [{ ...whole, limits: { connection: 1 } }, /^RangeError: there is no limits\.connection$/u],
      ];
      for (const [options, refusal] of wrong) {
        const said = await codeOf(NetDiskServer.listen(options as NetDiskServerOptions));
        expect(said, String(refusal)).to.match(refusal);
        expect(said).not.to.include('secret');
      }
      expect(await readdir(folder)).to.deep.equal([]);
    }));

  it('takes pre-shared keys of 16 to 64 bytes, one at least, wherever it listens', () =>
    withFolder(async (folder) => {
      const open = (psk: Map<string, Uint8Array>, listen: NetDiskServerOptions['listen']): Promise<string> =>
        codeOf(
          NetDiskServer.listen({ listen, clock: systemClock, tls: { mode: 'required', credentials: { psk } } }).then((s) => s.close()),
        );
      for (const listen of [{ path: path.join(folder, 'd.nbd') }, { host: '0.0.0.0', port: 0 }]) {
        const unusable: (readonly [string, Uint8Array])[][] = [
          [],
          [['a', filled(1, 15)]],
          [['a', filled(1, 65)]],
          [['', filled(1, 16)]],
          [['a'.repeat(129), filled(1, 16)]],
        ];
        for (const keys of unusable) expect(await open(new Map(keys), listen)).to.equal('HM_TLS_KEYS');
        const good = [
          ['a', filled(1, 16)],
          ['b', filled(2, 64)],
        ] as const;
        expect(await open(new Map(good), listen)).to.equal('none');
      }
    }));

  it('refuses to export what is no disk or has no name, at once, and goes on', () =>
    serving(async (server) => {
      const device = new MemoryDevice({ sizeBytes });
      const withA = (key: string, value: unknown): object => Object.create(device, { [key]: { value } }) as object;
      const wrong: readonly (readonly [unknown, RegExp])[] = [
        [undefined, /^TypeError: name/u],
        [{ device }, /^TypeError: name/u],
        [{ name: 'q', device, description: 7 }, /^TypeError: name and description/u],
        [{ name: 'q', device, readOnly: 'yes' }, /^TypeError: readOnly/u],
        [{ name: 'q'.repeat(4097), device }, /^RangeError: the name/u],
        [{ name: 'q' }, /^TypeError: device/u],
        [{ name: 'q', device: {} }, /^TypeError: device/u],
        [{ name: 'q', device: withA('flush', null) }, /^TypeError: device/u],
        [{ name: 'q', device: withA('capabilities', null) }, /^TypeError: device/u],
        [{ name: 'q', device: withA('blockSizeBytes', 1000) }, /^RangeError: blockSizeBytes/u],
        [{ name: 'q', device: withA('sizeBytes', 0.5) }, /^RangeError: device\.sizeBytes/u],
      ];
      const refusalOf = (exported: unknown): string => {
        try {
          server.add(exported as NetDiskExport);
          return 'none';
        } catch (error) {
          return String(error);
        }
      };
      for (const [exported, refusal] of wrong) expect(refusalOf(exported)).to.match(refusal);
      expect(refusalOf({ name: 'q', device })).to.equal('none');
      await NbdClient.using(server.address, 'q');
    }));

  it('takes no export once it is closed: HM_CLOSED', () =>
    serving(async (server) => {
      const closed = server.close();
      const add = (): void => server.add({ name: 'late', device: new MemoryDevice({ sizeBytes }) });
      expect(add).to.throw(HotMirrorError).with.property('code', 'HM_CLOSED');
      await closed;
      expect(add).to.throw(HotMirrorError).with.property('code', 'HM_CLOSED');
    }));

  it('says what is wrong with a place where it cannot listen, and what to do', () =>
    withFolder(async (folder) => {
      const refusal = (listen: NetDiskServerOptions['listen']): Promise<HotMirrorError> =>
        NetDiskServer.listen({ listen, clock: systemClock }).then(
          () => expect.fail('it listens'),
          (error: unknown) => error as HotMirrorError,
        );
      const missing = await refusal({ path: path.join(folder, 'no', 'd.nbd') });
      expect(missing.message).to.match(/no net disk at .*d\.nbd: there is no folder .*no$/u);
      expect(missing.remedy).to.equal('Make the folder first.');
      const long = await refusal({ path: path.join(folder, 'd'.repeat(107)) });
      expect(long.message).to.contain("a socket's path has at most 107 bytes");
      const server = await NetDiskServer.listen({ listen: { host: '127.0.0.1', port: 0 }, clock: systemClock });
      const { port } = server.address as { port: number };
      expect((await refusal({ host: '127.0.0.1', port })).message).to.equal(`no net disk at nbd://127.0.0.1:${String(port)}: EADDRINUSE`);
      await server.close();
      expect((await refusal({ host: '::', port: 1 })).message).to.match(/^nbd:\/\/\[::\]:1: beyond loopback/u);
    }));

  it('makes a socket for its owner alone, replaces one that nobody serves, and nothing else', () =>
    withFolder(async (folder) => {
      const listen = { path: path.join(folder, 'd.nbd') };
      const open = (): Promise<NetDiskServer> => NetDiskServer.listen({ listen, clock: systemClock });
      const before = createServer();
      await new Promise<void>((resolve) => before.listen(path.join(folder, 'before'), resolve));
      await rename(path.join(folder, 'before'), listen.path);
      expect(await codeOf(open())).to.equal('HM_ADDRESS_IN_USE');
      // It removes the file that it made, under the name that it knew: what is left is as of a process that died.
      await new Promise((resolve) => before.close(resolve));
      const server = await open();
      expect((await stat(listen.path)).mode & 0o777).to.equal(0o600);
      expect(await codeOf(open())).to.equal('HM_ADDRESS_IN_USE');
      await server.close();
      expect(await readdir(folder)).to.deep.equal([]);
      await writeFile(listen.path, 'no socket');
      expect(await codeOf(open())).to.equal('HM_ADDRESS');
      expect(await codeOf(NetDiskServer.listen({ listen: { path: path.join(folder, 'no', 'd.nbd') }, clock: systemClock }))).to.equal(
        'HM_ADDRESS',
      );
      const long = { path: path.join(folder, 'd'.repeat(107)) };
      expect(await codeOf(NetDiskServer.listen({ listen: long, clock: systemClock }))).to.equal('HM_ADDRESS');
      expect(await readdir(folder)).to.deep.equal(['d.nbd']);
    }));

  it('makes a socket that never has another mode, whoever looks', () =>
    withFolder(async (folder) => {
      const [file, modes, strays] = [path.join(folder, 'd.nbd'), new Set<number>(), new Set<string>()];
      const beside = path.dirname(folder);
      const watch = { over: false };
      const looking = (async () => {
        while (!watch.over) {
          const found = await stat(file).catch(() => null);
          if (found) modes.add(found.mode & 0o777);
          for (const name of await readdir(beside)) if (path.join(beside, name).startsWith(folder)) strays.add(name);
        }
      })();
      for (let round = 0; round < 20; round += 1) {
        const server = await NetDiskServer.listen({ listen: { path: file }, clock: systemClock });
        await stat(file);
        await server.close();
      }
      watch.over = true;
      await looking;
      expect([...modes]).to.deep.equal([0o600]);
      expect([...strays]).to.deep.equal([path.basename(folder)]);
    }));

  it('leaves a socket alone that has taken the place of its own', () =>
    withFolder(async (folder) => {
      const listen = { path: path.join(folder, 'd.nbd') };
      const first = await NetDiskServer.listen({ listen, clock: systemClock });
      await unlink(listen.path);
      const second = await NetDiskServer.listen({ listen, clock: systemClock });
      await first.close();
      expect((await stat(listen.path)).isSocket()).to.equal(true);
      await second.close();
      expect(await readdir(folder)).to.deep.equal([]);
    }));

  it('loses a client that breaks the rules, and no other', () =>
    serving(async (server) => {
      const good = await NbdClient.using(server.address, 'd');
      const bad = await NbdClient.using(server.address, 'd');
      bad.send(new Uint8Array(1000).fill(0x55));
      await bad.end();
      const dying = await NbdClient.using(server.address, 'd');
      dying.send(request(write, { cookie: 1n, payload: filled(9) }).subarray(0, 1000));
      dying.socket.destroy();
      good.send(request(read, { cookie: 2n, lengthBytes: block }));
      expect((await good.reply(28 + block)).data.every((byte) => byte === 0)).to.equal(true);
    }));

  it('turns clients away that are too many', () =>
    serving(
      async (server) => {
        const first = await NbdClient.using(server.address, 'd');
        const second = NbdClient.connect(server.address);
        await second.end();
        first.send(request(disconnect, { cookie: 1n }));
        await first.end();
        await NbdClient.using(server.address, 'd');
      },
      { limits: { connections: 1 } },
    ));

  it('keeps nobody out because of those who say nothing: of them the oldest gives way, and nobody who uses an export', () =>
    serving(
      async (server) => {
        const user = await NbdClient.using(server.address, 'd');
        const silent: NbdClient[] = [];
        for (let count = 0; count < 5; count += 1) {
          const stranger = NbdClient.connect(server.address);
          silent.push(stranger);
          await stranger.has(18);
        }
        await Promise.all([silent[0]!.end(), silent[1]!.end()]);
        expect(server.connections).to.equal(4);
        const late = await NbdClient.using(server.address, 'd');
        await silent[2]!.end();
        expect(silent.map(({ ended }) => ended)).to.deep.equal([true, true, true, false, false]);
        for (const client of [user, late]) {
          client.send(request(flush, { cookie: 1n }));
          expect(await client.reply(simpleReplyBytes)).to.include({ cookie: 1n, error: 0 });
        }
        // Its places are taken: who haggled meanwhile is told so.
        const haggling = silent[3]!;
        haggling.received.take(18);
        haggling.send(clientFlags);
        haggling.send(go('d'));
        await haggling.has(20);
        expect(haggling.received.option()).to.include({ option: options.go, kind: optionReplies.policy });
      },
      { limits: { connections: 2, newcomers: 3 } },
    ));

  it('has the system probe connections on which nothing comes, so that a client whose machine is gone keeps no place', async function () {
    if (process.platform !== 'linux') skipBecause(this, 'timers of sockets are read from /proc/net/tcp');
    const server = await NetDiskServer.listen({ listen: { host: '127.0.0.1', port: 0 }, clock: systemClock });
    server.add({ name: 'd', device: new MemoryDevice({ sizeBytes }) });
    const { port } = server.address as { port: number };
    const disk = await NetDiskDevice.open(`nbd://127.0.0.1:${String(port)}/d`, { clock: systemClock });
    // What was sent last has a timer of its own until it is confirmed.
    const bothWatched = async (): Promise<boolean> => Object.values(await keepAliveTimers(port)).every(Boolean);
    while (!(await bothWatched())) await new Promise((resolve) => setTimeout(resolve, 10));
    await disk.close();
    await server.close();
  });

  it('answers what was asked before it closes, and refuses what comes then', () =>
    serving(async (server, device) => {
      const held: (() => void)[] = [];
      device.write = (...[offsetBytes, from, options, done]: Parameters<BlockDevice['write']>) =>
        void held.push(() => MemoryDevice.prototype.write.call(device, offsetBytes, from, options, done));
      const client = await NbdClient.using(server.address, 'd');
      client.send(request(write, { cookie: 1n, payload: filled(1) }));
      while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
      const { path: socket } = server.address as { path: string };
      const closed = server.close();
      client.send(request(write, { cookie: 2n, payload: filled(2) }));
      expect(await client.reply(20 + 6)).to.include({ cookie: 2n, error: errors.ESHUTDOWN });
      held[0]!();
      expect(await client.reply(simpleReplyBytes)).to.include({ cookie: 1n, error: 0 });
      await Promise.all([closed, client.end()]);
      const refused = await new Promise<string>((resolve) => connect(socket).once('error', ({ message }) => resolve(message)));
      expect(refused).to.contain('ENOENT');
    }));

  it('lets go of what a client is read into when its connection has ended, and not when it is left: another one would write it', () =>
    serving(async (server) => {
      const [left, used] = [new MemoryDevice({ sizeBytes: 16 * sizeBytes }), new MemoryDevice({ sizeBytes })];
      server.add({ name: 'left', device: left });
      server.add({ name: 'used', device: used });
      const deaf = await NbdClient.using(server.address, 'left');
      deaf.socket.pause();
      deaf.send(request(read, { cookie: 1n, lengthBytes: 8 * sizeBytes }));
      deaf.send(request(flush, { cookie: 2n }).subarray(0, 10));
      await new Promise((resolve) => setTimeout(resolve, 50));
      const removed = server.remove('left');
      const other = await NbdClient.using(server.address, 'used');
      const wish = request(write, { cookie: 3n, payload: filled(0x42, 32_768) });
      other.send(wish.subarray(0, 20_000));
      await new Promise((resolve) => setTimeout(resolve, 20));
      deaf.send(filled(0x41, 10_000));
      await new Promise((resolve) => setTimeout(resolve, 20));
      other.send(wish.subarray(20_000));
      expect(await other.reply(simpleReplyBytes)).to.include({ cookie: 3n, error: 0 });
      expect(used.contents.subarray(0, 32_768).every((byte) => byte === 0x42)).to.equal(true);
      deaf.socket.destroy();
      await removed;
    }));

  it('leaves the clients of an export that is removed, and lets nobody in any more', () =>
    serving(async (server) => {
      server.add({ name: 'other', device: new MemoryDevice({ sizeBytes }) });
      const [gone, stays] = await Promise.all([NbdClient.using(server.address, 'd'), NbdClient.using(server.address, 'other')]);
      await server.remove('d');
      await gone.end();
      stays.send(request(flush, { cookie: 1n }));
      expect(await stays.reply(simpleReplyBytes)).to.include({ cookie: 1n, error: 0 });
      expect(() => server.add({ name: 'other', device: new MemoryDevice({ sizeBytes }) })).to.throw(RangeError);
    }));
});

describe('What a socket is read into', () => {
  it('gets the same bytes where they have to be copied, also when it takes no more for a while', async () => {
    const got: number[] = [];
    let stopped = 0;
    const memory = new Uint8Array(3);
    const server = createServer({ pauseOnConnect: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bytes = bytesOf('what is read is what was sent');
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const client = connect((server.address() as { port: number }).port, '127.0.0.1');
    client.write(bytes);
    const intake = copiedInto(await accepted, {
      buffer: () => memory,
      filled: (lengthBytes) => {
        got.push(...memory.subarray(0, lengthBytes));
        stopped += 1;
        if (stopped % 4 === 0) setImmediate(() => intake.resume());
        return stopped % 4 !== 0;
      },
    });
    intake.resume();
    while (got.length < bytes.byteLength) await new Promise((resolve) => setImmediate(resolve));
    expect(new Uint8Array(got)).to.deep.equal(bytes);
    client.destroy();
    server.close();
  });
});
