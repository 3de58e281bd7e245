import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';

import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import type { ErrorCode, HotMirrorError } from '../../src/errors.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { FrameEncoder } from '../../src/transport/framing.ts';
import { preamble } from '../../src/transport/preamble.ts';
import { tcpTransport } from '../../src/transport/tcp.ts';
import type { TcpTransportOptions } from '../../src/transport/tcp.ts';
import type { Connection, Listener, Transport } from '../../src/transport/transport.ts';
import { skipBecause } from '../support/skip.ts';
import { proxyTo } from './proxy.ts';
import type { Proxy } from './proxy.ts';
import { freeUrls, key, rawSocket, smallLimits, tracked } from './tcp-fixture.ts';

const common = { pair: 'example', purpose: 'data:m0', key, clock: systemClock, random: systemRandom, limits: smallLimits };
const secret = Buffer.from('what the users wrote');

async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | 'none'> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error as HotMirrorError).code,
  );
}

describe('transport/tcp against bad input', function () {
  this.timeout(10_000);

  let cleanups: (() => unknown)[] = [];
  let urlA = '';
  let urlB = '';
  let listener: Listener;
  const accepted: Connection[] = [];
  const rejected: HotMirrorError[] = [];
  let tell: () => void = () => undefined;

  const until = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      tell = () => {
        if (condition()) resolve();
      };
      tell();
    });
  const rejectedCodes = (): string[] => rejected.map(({ code }) => code);
  const make = (options: Partial<TcpTransportOptions>): Transport =>
    tracked(tcpTransport({ ...common, listen: urlB, dial: urlA, node: 'beta', peer: 'alpha', ...options }), cleanups);
  const dialler = (options: Partial<TcpTransportOptions> = {}): Transport =>
    make({ listen: null, dial: listener.address, node: 'alpha', peer: 'beta', ...options });

  async function listen(options: Partial<TcpTransportOptions> = {}): Promise<void> {
    listener = await make(options).listen({
      accepted: (connection) => {
        accepted.push(connection);
        tell();
      },
      rejected: (error) => {
        rejected.push(error);
        tell();
      },
    });
  }

  async function raw(bytes: Uint8Array): Promise<Socket> {
    const socket = await rawSocket(listener.address);
    cleanups.push(() => socket.destroy());
    socket.on('data', () => undefined);
    socket.write(bytes);
    return socket;
  }

  /** Sends frames through a proxy that tampers with them; gives what arrived and how the receiving end ended. */
  async function through(proxy: Proxy, send: (connection: Connection) => void, options: Partial<TcpTransportOptions> = {}) {
    const frames: Buffer[] = [];
    const connection = await dialler({ ...options, dial: proxy.url }).dial();
    connection.receive({ frame: () => undefined, closed: () => undefined });
    await until(() => accepted.length > 0);
    const end = new Promise<HotMirrorError | null>((resolve) => {
      accepted[0]?.receive({ frame: (bytes) => void frames.push(Buffer.from(bytes)), closed: resolve });
    });
    const before = proxy.seen.reduce((sum, bytes) => sum + bytes.length, 0);
    send(connection);
    return { frames, end, before, connection };
  }

  beforeEach(async () => {
    cleanups = [];
    accepted.length = 0;
    rejected.length = 0;
    [urlA = '', urlB = ''] = await freeUrls(2);
  });

  afterEach(async () => {
    for (const cleanup of cleanups) await cleanup();
  });

  it('trust: binds nothing beyond loopback without a key', async () => {
    for (const url of ['tcp://0.0.0.0:0', 'tcp://[::]:0', 'tcp://192.0.2.1:0']) {
      const transport = make({ listen: url, key: null });
      expect(await codeOf(transport.listen({ accepted: () => undefined })), url).to.equal('HM_UNAUTHENTICATED_BIND');
    }
  });

  it('names an address that cannot be used', async () => {
    expect(await codeOf(make({ listen: 'tcp://192.0.2.77:0' }).listen({ accepted: () => undefined }))).to.equal('HM_ADDRESS');
    expect(await codeOf(make({ listen: null }).listen({ accepted: () => undefined }))).to.equal('HM_NOT_SUPPORTED');
    expect(() => make({ dial: 'tcp://nowhere' })).to.throw(/port is missing/);
    expect(() => make({ key: new Uint8Array(16) })).to.throw(RangeError);
    expect(() => make({ limits: { maxFrameBytes: 0 } })).to.throw(RangeError);
  });

  it('turns away the wrong key and the wrong peer, with the same code at both ends', async () => {
    await listen();
    const cases = [
      [{ key: Buffer.alloc(32, 1) }, 'HM_WRONG_KEY'],
      [{ key: null }, 'HM_WRONG_KEY'],
      [{ pair: 'other' }, 'HM_WRONG_PEER'],
      [{ node: 'gamma' }, 'HM_WRONG_PEER'],
      [{ peer: 'gamma' }, 'HM_WRONG_PEER'],
      [{ purpose: 'monitor:net' }, 'HM_WRONG_PEER'],
    ] as const;
    for (const [index, [options, code]] of cases.entries()) {
      expect(await codeOf(dialler(options).dial())).to.equal(code);
      await until(() => rejected.length > index);
      expect(rejected[index]?.code).to.equal(code);
    }
    expect(accepted).to.have.length(0);
  });

  it('gives a typed error for whatever else connects', async () => {
    await listen();
    const hello = (json: string): Buffer => Buffer.concat([preamble, ...new FrameEncoder(100_000).frame([Buffer.from(json)])]);
    const damaged = hello('{}');
    damaged[damaged.length - 1] = 0;
    const cases: [Uint8Array, string][] = [
      [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'HM_BAD_MAGIC'],
      [Buffer.from('hotmirror\n\x07\x09', 'latin1'), 'HM_VERSION'],
      [hello('not json'), 'HM_PROTOCOL'],
      [hello('{"kind":"proof","proof":"00"}'), 'HM_PROTOCOL'],
      [hello(JSON.stringify({ kind: 'proof', proof: '00'.repeat(32) })), 'HM_PROTOCOL'],
      [hello(' '.repeat(5_000)), 'HM_FRAME_TOO_LONG'],
      [damaged, 'HM_BAD_CHECKSUM'],
    ];
    for (const [index, [bytes, code]] of cases.entries()) {
      const socket = await raw(bytes);
      await until(() => rejected.length > index);
      expect(rejected[index]?.code).to.equal(code);
      socket.end();
      if (!socket.destroyed) await once(socket, 'close');
    }
    const half = await raw(preamble.subarray(0, 5));
    half.end();
    await until(() => rejected.length > cases.length);
    expect(rejected.at(-1)?.code).to.equal('HM_CONNECTION_LOST');
  });

  it('ends a handshake that drips, by the deadline', async () => {
    const clock = new VirtualClock();
    await listen({ clock });
    const socket = await raw(preamble.subarray(0, 1));
    const closed = once(socket, 'close');
    for (let byte = 1; byte < 5; byte += 1) {
      await clock.runFor(smallLimits.handshakeDeadlineMs / 5);
      socket.write(preamble.subarray(byte, byte + 1));
    }
    expect(rejected).to.have.length(0);
    await clock.runFor(smallLimits.handshakeDeadlineMs);
    await until(() => rejected.length > 0);
    expect(rejectedCodes()).to.deep.equal(['HM_HANDSHAKE_TIMEOUT']);
    socket.end();
    await closed;
    expect(clock.pendingTimers).to.equal(0);
  });

  it('gives up on a listener that says nothing, or something else', async () => {
    const clock = new VirtualClock();
    const mute = await rawServer(() => undefined);
    const dial = codeOf(make({ clock, dial: mute.url, listen: null, node: 'alpha', peer: 'beta' }).dial());
    await mute.connected;
    expect(await clock.settled(dial, 10 * smallLimits.handshakeDeadlineMs)).to.equal('HM_HANDSHAKE_TIMEOUT');
    const chatty = await rawServer((socket) => socket.write('220 mail.example ESMTP\r\n'));
    expect(await codeOf(make({ dial: chatty.url, listen: null, node: 'alpha', peer: 'beta' }).dial())).to.equal('HM_BAD_MAGIC');
    const brief = await rawServer((socket) => socket.end());
    expect(await codeOf(make({ dial: brief.url, listen: null, node: 'alpha', peer: 'beta' }).dial())).to.equal('HM_CONNECT_FAILED');
  });

  it('stays open for the peer while strangers crowd in, a bounded number at once', async () => {
    const unauthenticatedConnections = 8;
    await listen({ limits: { ...smallLimits, unauthenticatedConnections } });
    const crowd = 200;
    const strangers: Socket[] = [];
    for (let index = 0; index < crowd; index += 1) strangers.push(await raw(preamble.subarray(0, 3)));
    const connection = await dialler().dial();
    await until(() => accepted.length === 1);
    expect(accepted[0]?.id).to.equal(connection.id);
    await until(() => rejected.length >= crowd - unauthenticatedConnections);
    expect(new Set(rejectedCodes())).to.deep.equal(new Set(['HM_BUSY']));
    expect(rejected.length).to.be.at.most(crowd - unauthenticatedConnections + 1);
  });

  it('lets go of strangers when the listener closes', async () => {
    await listen();
    const socket = await raw(preamble.subarray(0, 3));
    // In order, or by a reset where it had not read all of it yet.
    const gone = new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
    await listener.close();
    await gone;
    expect(accepted).to.have.length(0);
  });

  it('ends a connection whose peer sends longer frames than agreed', async () => {
    await listen();
    const connection = await dialler({ limits: { ...smallLimits, maxFrameBytes: smallLimits.maxFrameBytes * 2 } }).dial();
    connection.receive({ frame: () => undefined, closed: () => undefined });
    await until(() => accepted.length > 0);
    const end = new Promise<HotMirrorError | null>((resolve) =>
      accepted[0]?.receive({ frame: () => expect.fail('a frame'), closed: resolve }),
    );
    connection.send([new Uint8Array(smallLimits.maxFrameBytes + 1)]);
    expect((await end)?.code).to.equal('HM_FRAME_TOO_LONG');
  });

  for (const encryption of ['auto', 'always'] as const) {
    describe(`with a man in the middle (encryption ${encryption})`, () => {
      let proxy: Proxy;

      beforeEach(async () => {
        await listen({ encryption });
        proxy = await proxyTo(listener.address);
        cleanups.push(() => proxy.close());
      });

      it(encryption === 'auto' ? 'loopback frames are plain' : 'nothing of a frame can be read on the way', async () => {
        const { connection, frames, end } = await through(proxy, (to) => to.send([secret]), { encryption });
        await connection.close();
        expect(await end).to.equal(null);
        expect(frames).to.deep.equal([secret]);
        expect(Buffer.concat(proxy.seen).includes(secret)).to.equal(encryption === 'auto');
        expect(Buffer.concat(proxy.seen).includes(Buffer.from(key).toString('hex'))).to.equal(false);
      });

      it('a changed byte ends the connection with HM_BAD_CHECKSUM, and nothing of the frame arrives', async () => {
        const { frames, end } = await through(
          proxy,
          (to) => {
            proxy.tamper = (bytes) => {
              bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
              return bytes;
            };
            to.send([secret]);
          },
          { encryption },
        );
        expect((await end)?.code).to.equal('HM_BAD_CHECKSUM');
        expect(frames).to.deep.equal([]);
      });

      it('repeated bytes end it with a typed error', async () => {
        const { frames, end } = await through(
          proxy,
          (to) => {
            proxy.tamper = (bytes) => Buffer.concat([bytes, bytes]);
            to.send([secret]);
          },
          { encryption },
        );
        expect((await end)?.code).to.equal('HM_OUT_OF_SEQUENCE');
        expect(frames).to.deep.equal([secret]);
      });

      it('a stream cut within a frame, or between two, is a loss and no orderly end', async () => {
        const { frames, end } = await through(
          proxy,
          (to) => {
            proxy.tamper = () => null;
            to.send([secret]);
          },
          { encryption },
        );
        expect((await end)?.code).to.equal('HM_CONNECTION_LOST');
        expect(frames).to.deep.equal([]);
      });
    });
  }

  it('trust: encrypts by itself beyond loopback, also when only one end sees that it is', async function () {
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((address) => address && !address.internal && address.family === 'IPv4')?.address;
    if (outside === undefined) return skipBecause(this, 'this machine has no address beyond loopback');
    await listen({ listen: `tcp://${outside}:0` });
    const proxy = await proxyTo(listener.address);
    cleanups.push(() => proxy.close());
    const { connection, end, frames } = await through(proxy, (to) => to.send([secret]));
    await connection.close();
    expect(await end).to.equal(null);
    expect(frames).to.deep.equal([secret]);
    expect(Buffer.concat(proxy.seen).includes(secret)).to.equal(false);
    expect(await codeOf(dialler({ key: null }).dial())).to.equal('HM_UNAUTHENTICATED_BIND');
  });

  /** A server that does with each socket as told. */
  async function rawServer(each: (socket: Socket) => unknown): Promise<{ url: string; connected: Promise<unknown> }> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      cleanups.push(() => socket.destroy());
      each(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    return { url: `tcp://127.0.0.1:${String(port)}`, connected: once(server, 'connection') };
  }
});
