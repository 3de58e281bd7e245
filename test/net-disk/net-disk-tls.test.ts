import path from 'node:path';
import type { ConnectionOptions } from 'node:tls';

import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import type { BlockDevice } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import { NetDiskServer } from '../../src/net-disk/net-disk-server.ts';
import type { NetDiskServerOptions } from '../../src/net-disk/net-disk-server.ts';
import { exposureProblem } from '../../src/net-disk/net-disk-tls.ts';
import type { NetDiskCredentials } from '../../src/net-disk/net-disk-tls.ts';
import { commands, errors, optionReplies, options } from '../../src/net-disk/protocol.ts';
import { withFolder } from '../node/temporary-folder.ts';
import { Authority, hasOpenssl } from '../support/certificates.ts';
import { skipBecause } from '../support/skip.ts';
import { bytesOf, clientFlags, option, request } from './support/nbd-bytes.ts';
import { NbdClient } from './support/nbd-client.ts';

const { read, write, flush, disconnect } = commands;
const mebibyte = 2 ** 20;
const sizeBytes = 4 * mebibyte;
const lengthBytes = 2 * mebibyte + 512;
/** The least request that a client may count on. */
const leastBytes = 65_536;
const simpleReplyBytes = 16;
const key = new Uint8Array(32).fill(7);
const psk: NetDiskCredentials = { psk: new Map([['alice', key]]) };

/** A client that names itself and its key. */
const knownAs = (identity: string, its: Uint8Array, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): ConnectionOptions => ({
  pskCallback: () => ({ psk: its, identity }),
  ciphers: 'PSK',
  maxVersion,
  checkServerIdentity: () => undefined,
});

/** A server with one export, over TLS. */
async function serving(
  use: (server: NetDiskServer, device: MemoryDevice) => Promise<void>,
  { mode = 'required', credentials = psk, ...rest }: Partial<NetDiskServerOptions & NonNullable<NetDiskServerOptions['tls']>> = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const listen = { path: path.join(folder, 'd.nbd') };
    const server = await NetDiskServer.listen({ listen, clock: systemClock, tls: { mode, credentials }, ...rest });
    const device = new MemoryDevice({ sizeBytes });
    server.add({ name: 'd', device });
    try {
      await use(server, device);
    } finally {
      await server.close();
    }
  });
}

async function using(server: NetDiskServer, tls: ConnectionOptions = knownAs('alice', key)): Promise<NbdClient> {
  const client = await NbdClient.secured(server.address, tls);
  await client.use('d');
  return client;
}

/** Whether a client gets to use the export. */
const letsIn = (server: NetDiskServer, tls: ConnectionOptions): Promise<boolean> =>
  using(server, tls).then(
    (client) => {
      client.socket.destroy();
      return true;
    },
    () => false,
  );

async function answers(client: NbdClient): Promise<void> {
  client.send(request(flush, { cookie: 77n }));
  expect(await client.reply(simpleReplyBytes)).to.include({ cookie: 77n, error: 0 });
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error as HotMirrorError).code,
  );

describe('Who may be served beyond this machine (trust)', () => {
  const [forced, chosen] = [
    { mode: 'required', clientsProven: true },
    { mode: 'optional', clientsProven: true },
  ] as const;
  const anybody = { mode: 'required', clientsProven: false } as const;
  const addresses = [{ path: '/s' }, { host: '127.0.0.1', port: 1 }, { host: '::1', port: 1 }, { host: 'localhost', port: 1 }];

  it('is anybody on this machine, with TLS or without', () => {
    for (const address of addresses)
      for (const protection of [null, forced, chosen, anybody]) expect(exposureProblem(address, protection)).to.equal(null);
  });

  it('is elsewhere whoever proves who it is, over TLS, and nobody else', () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'disk.example']) {
      expect(exposureProblem({ host, port: 1 }, forced)).to.equal(null);
      for (const protection of [null, chosen]) expect(exposureProblem({ host, port: 1 }, protection)).to.contain('needs TLS of everybody');
      expect(exposureProblem({ host, port: 1 }, anybody)).to.contain('prove who they are');
    }
  });
});

describe('A net disk over TLS with pre-shared keys', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
    it(`carries what is written and read, whole, by ${version}`, () =>
      serving(async (server, device) => {
        const client = await using(server, knownAs('alice', key, version));
        const payload = Uint8Array.from({ length: lengthBytes }, (_, index) => index * 31 + (index >> 12));
        client.send(request(write, { cookie: 1n, offsetBytes: mebibyte, payload }));
        expect(await client.reply(simpleReplyBytes)).to.include({ cookie: 1n, error: 0 });
        expect(Buffer.compare(device.contents.subarray(mebibyte, mebibyte + lengthBytes), payload)).to.equal(0);
        client.send(request(read, { cookie: 2n, offsetBytes: mebibyte, lengthBytes }));
        expect(Buffer.compare((await client.reply(28 + lengthBytes)).data, payload)).to.equal(0);
        client.send(request(disconnect, { cookie: 3n }));
        await client.end();
      }));

  it('turns away who has another key, or another name, and goes on with the others', () =>
    serving(async (server) => {
      const good = await using(server);
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        expect(await letsIn(server, knownAs('alice', new Uint8Array(32).fill(8), version))).to.equal(false);
        expect(await letsIn(server, knownAs('bob', key, version))).to.equal(false);
      }
      expect(await letsIn(server, { rejectUnauthorized: false })).to.equal(false);
      await answers(good);
      while (server.connections > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    }));

  it('refuses whoever speaks in the clear where it is required, and serves it where it is optional', async () => {
    await serving(async (server) => {
      const plain = NbdClient.connect(server.address);
      plain.send(bytesOf(clientFlags, option(options.list)));
      await plain.has(18 + 20);
      plain.received.take(18);
      expect(plain.received.option().kind).to.equal(optionReplies.tlsRequired);
      plain.send(option(options.exportName, bytesOf('d')));
      await plain.end();
    });
    await serving(
      async (server) => {
        await answers(await using(server));
        await answers(await NbdClient.using(server.address, 'd'));
      },
      { mode: 'optional' },
    );
  });

  it('throws away what somebody put behind the wish for TLS', () =>
    serving(
      async (server) => {
        const client = await NbdClient.secured(server.address, knownAs('alice', key), option(options.list));
        await client.use('d');
        await answers(client);
      },
      { mode: 'optional' },
    ));

  it('leaves a client that begins TLS with something else, goes silent in it, or dies in it', () =>
    serving(
      async (server) => {
        const garbled = await NbdClient.securing(server.address);
        garbled.send(new Uint8Array(1000).fill(0x55));
        await garbled.end();
        const dying = await NbdClient.securing(server.address);
        dying.send(new Uint8Array([0x16, 3, 1]));
        dying.socket.destroy();
        const silent = await NbdClient.securing(server.address);
        await silent.end();
        await answers(await using(server));
      },
      { limits: { handshakeDeadlineMs: 300 } },
    ));

  it('holds no more for a client that takes no answers than it may, and goes on when it does', () =>
    serving(
      async (server, device) => {
        let begun = 0;
        device.read = (...given: Parameters<BlockDevice['read']>) => {
          begun += 1;
          MemoryDevice.prototype.read.apply(device, given);
        };
        const client = await using(server);
        client.socket.pause();
        for (let cookie = 0n; cookie < 200n; cookie += 1n) client.send(request(read, { cookie, lengthBytes: leastBytes }));
        while (begun === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        await new Promise((resolve) => setTimeout(resolve, 300));
        // Its own socket and ours take some.
        expect(begun).to.be.within(1, 50);
        client.socket.resume();
        for (let cookie = 0n; cookie < 200n; cookie += 1n) expect(await client.reply(28 + leastBytes)).to.include({ cookie, error: 0 });
      },
      { limits: { requestBytes: leastBytes, windowBytes: 2 * leastBytes } },
    ));

  it('answers what was asked before it closes, refuses what comes then, and does not wait for a client in the middle of TLS', () =>
    serving(
      async (server, device) => {
        const held: (() => void)[] = [];
        device.write = (...given: Parameters<BlockDevice['write']>) =>
          void held.push(() => MemoryDevice.prototype.write.apply(device, given));
        const client = await using(server);
        const silent = await NbdClient.securing(server.address);
        client.send(request(write, { cookie: 1n, payload: new Uint8Array(4096) }));
        while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
        const closed = server.close();
        client.send(request(write, { cookie: 2n, payload: new Uint8Array(4096) }));
        expect(await client.reply(20 + 6)).to.include({ cookie: 2n, error: errors.ESHUTDOWN });
        held[0]!();
        expect(await client.reply(simpleReplyBytes)).to.include({ cookie: 1n, error: 0 });
        await Promise.all([closed, client.end(), silent.end()]);
      },
      { limits: { closeDeadlineMs: 1000 } },
    ));
});

describe('A net disk over TLS with certificates', () => {
  before(async function () {
    if (!(await hasOpenssl())) skipBecause(this, 'openssl is not installed');
  });

  it('asks clients for one of its authority, and for none where it has no authority', () =>
    withFolder(async (folder) => {
      const [ours, theirs] = [await Authority.create(path.join(folder, 'ours')), await Authority.create(path.join(folder, 'theirs'))];
      const { key: serverKey, cert: certificate } = await ours.issued('serverAuth', 'server');
      const [known, stranger] = [await ours.issued('clientAuth', 'client'), await theirs.issued('clientAuth', 'client')];
      const ca = await ours.certificate();
      const credentials = { key: serverKey, certificate };
      const trusting = { ca, servername: 'localhost' };
      await serving(
        async (server) => {
          const good = await using(server, { ...trusting, ...known });
          expect(await letsIn(server, { ...trusting, ...stranger })).to.equal(false);
          expect(await letsIn(server, trusting)).to.equal(false);
          expect(await letsIn(server, { ...trusting, ...known, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).to.equal(false);
          await answers(good);
        },
        { credentials: { ...credentials, ca } },
      );
      await serving(async (server) => void expect(await letsIn(server, trusting)).to.equal(true), { credentials });
      const listening = { listen: { host: '0.0.0.0', port: 0 }, clock: systemClock } as const;
      const tls = { mode: 'required', credentials } as const;
      expect(await codeOf(NetDiskServer.listen({ ...listening, tls }))).to.equal('HM_UNAUTHENTICATED_BIND');
      const foreign = { ...tls, credentials: { ...credentials, key: stranger.key, ca } };
      expect(await codeOf(NetDiskServer.listen({ ...listening, tls: foreign }))).to.equal('HM_TLS_KEYS');
      const whole = { ...credentials, ca };
      for (const part of ['key', 'certificate', 'ca'])
        for (const pem of ['', 'no PEM']) {
          const broken = { ...tls, credentials: { ...whole, [part]: pem } };
          expect(await codeOf(NetDiskServer.listen({ ...listening, tls: broken })), `${part}: "${pem}"`).to.equal('HM_TLS_KEYS');
        }
      const server = await NetDiskServer.listen({ ...listening, tls: { ...tls, credentials: { ...credentials, ca } } });
      await server.close();
    }));
});
