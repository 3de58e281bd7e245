import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';

import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { preamble } from '../../src/transport/preamble.ts';
import { LinkKeys, tcpTransport } from '../../src/transport/tcp.ts';
import type { LinkCredentials, TcpTransportOptions, TlsCertificates } from '../../src/transport/tcp.ts';
import type { Connection, Listener, Transport } from '../../src/transport/transport.ts';
import { parseTcpUrl } from '../../src/transport/url.ts';
import { Authority, hasOpenssl } from '../support/certificates.ts';
import type { NodeCertificateOptions } from '../support/certificates.ts';
import { skipBecause } from '../support/skip.ts';
import { proxyTo } from './proxy.ts';
import { freeUrls, key, rawSocket, smallLimits, tracked } from './tcp-fixture.ts';
import { codeOf, keysOf, presharedKeys, problemOf, psk, temporaryAuthority } from './tls-fixture.ts';

const common = { pair: 'example', purpose: 'data:m0', key, clock: systemClock, random: systemRandom, limits: smallLimits };
/** In a record with the first message of a client. */
const sessionIdLengthAt = 43;
const secret = Buffer.from('what the users wrote');

describe('transport/tcp over TLS against bad input', function () {
  this.timeout(10_000);

  let cleanups: (() => unknown)[] = [];
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
  const dialler = (options: Partial<TcpTransportOptions>): Transport =>
    tracked(tcpTransport({ ...common, listen: null, dial: listener.address, node: 'alpha', peer: 'beta', ...options }), cleanups);

  /** Beta listens. */
  async function listen(options: Partial<TcpTransportOptions>): Promise<void> {
    const [url = '', dial = ''] = await freeUrls(2);
    const transport = tracked(tcpTransport({ ...common, listen: url, dial, node: 'beta', peer: 'alpha', ...options }), cleanups);
    listener = await transport.listen({
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

  /** Alpha dials with these credentials; gives the codes at both ends, and that nothing was accepted. */
  async function refusedAt(options: Partial<TcpTransportOptions>): Promise<readonly [string, string | undefined]> {
    const before = rejected.length;
    const code = await codeOf(dialler(options).dial());
    await until(() => rejected.length > before);
    expect(accepted).to.have.length(0);
    return [code, rejected.at(-1)?.code];
  }

  /** Gives what comes over a connection, and how it ends. */
  function received(connection: Connection | undefined): { readonly frames: Buffer[]; readonly end: Promise<HotMirrorError | null> } {
    const frames: Buffer[] = [];
    const end = new Promise<HotMirrorError | null>((resolve) => {
      connection?.receive({
        frame: (bytes) => {
          frames.push(Buffer.from(bytes));
          tell();
        },
        closed: resolve,
      });
    });
    return { frames, end };
  }

  /** A server that does with each socket as told. */
  async function rawServer(each: (socket: Socket) => unknown): Promise<{ readonly url: string; readonly connected: Promise<unknown> }> {
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

  beforeEach(() => {
    cleanups = [];
    accepted.length = 0;
    rejected.length = 0;
  });

  afterEach(async () => {
    for (const cleanup of cleanups) await cleanup();
  });

  describe('with certificates', () => {
    let authority: Authority;
    let other: Authority;
    let alpha: TlsCertificates;
    let beta: TlsCertificates;
    let remove: () => Promise<void> = () => Promise.resolve();

    before(async function () {
      if (!(await hasOpenssl())) skipBecause(this, 'openssl is not installed');
      ({ authority, remove } = await temporaryAuthority('ca'));
      other = await Authority.create(`${authority.folder}-other`);
      [alpha, beta] = [await authority.nodeCertificates('alpha'), await authority.nodeCertificates('beta')];
    });
    after(() => remove());
    beforeEach(() => listen({ tls: keysOf('beta', beta) }));

    /** Keys of alpha that are not looked at before they are used. */
    const unchecked = (credentials: LinkCredentials): LinkKeys =>
      Object.defineProperty(keysOf('alpha', alpha), 'credentials', { value: credentials });
    const alphas = (options: NodeCertificateOptions): Promise<TlsCertificates> => authority.nodeCertificates('alpha', options);

    it('turns away a certificate of another authority, and shows its own to nobody that does not trust it', async () => {
      const foreign = await other.nodeCertificates('alpha');
      expect(await refusedAt({ tls: keysOf('alpha', { ...foreign, ca: alpha.ca }) })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
      expect(rejected.at(-1)?.message).to.match(/certificate of what should be alpha cannot be trusted: UNABLE_TO_/);
      expect(rejected.at(-1)?.remedy).to.contain('caFile');
      expect(await refusedAt({ tls: keysOf('alpha', { ...alpha, ca: foreign.ca }) })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
    });

    it('turns away a certificate for another name, whichever end shows it', async () => {
      expect(await refusedAt({ tls: unchecked(await alphas({ dnsNames: ['gamma'] })) })).to.deep.equal(['HM_WRONG_PEER', 'HM_WRONG_PEER']);
      expect(await refusedAt({ tls: unchecked(await alphas({ dnsNames: ['*'] })) })).to.deep.equal(['HM_WRONG_PEER', 'HM_WRONG_PEER']);
      // A common name counts where there is no DNS name.
      expect(await refusedAt({ tls: unchecked(await alphas({ dnsNames: ['gamma'], commonName: 'alpha' })) })).to.deep.equal([
        'HM_WRONG_PEER',
        'HM_WRONG_PEER',
      ]);
      const gamma = new LinkKeys({ node: 'alpha', peer: 'gamma', credentials: alpha });
      expect(await refusedAt({ tls: gamma })).to.deep.equal(['HM_WRONG_PEER', 'HM_WRONG_PEER']);
    });

    it('takes a common name for the name where there is no other', async () => {
      await dialler({ tls: keysOf('alpha', await alphas({ dnsNames: [] })) }).dial();
      await dialler({ tls: keysOf('alpha', await alphas({ dnsNames: ['alpha.example', 'alpha'], commonName: 'what' })) }).dial();
      await until(() => accepted.length === 2);
    });

    it('turns away a certificate that has expired, or is for servers alone', async () => {
      expect(await refusedAt({ tls: unchecked(await alphas({ days: -1 })) })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
      expect(rejected.at(-1)?.message).to.contain('CERT_HAS_EXPIRED');
      expect(await refusedAt({ tls: unchecked(await alphas({ use: 'serverAuth' })) })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
    });

    it('turns away who shows no certificate, or knows a key instead', async () => {
      const { host, port } = parseTcpUrl(listener.address);
      const socket = connectTls({ host, port, rejectUnauthorized: false });
      cleanups.push(() => socket.destroy());
      socket.on('error', () => undefined).on('data', () => undefined);
      await once(socket, 'secureConnect');
      socket.write(preamble);
      await until(() => rejected.length === 1);
      expect(rejected[0]).to.deep.include({ code: 'HM_WRONG_KEY' });
      expect(rejected[0]?.message).to.contain('shows no certificate');
      expect(await refusedAt({ tls: keysOf('alpha', psk) })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
    });

    it('trust: needs the shared key as well', async () => {
      const tls = keysOf('alpha', alpha);
      expect(await refusedAt({ tls, key: Buffer.alloc(32, 1) })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
      expect(await refusedAt({ tls, purpose: 'data:m1' })).to.deep.equal(['HM_WRONG_PEER', 'HM_WRONG_PEER']);
    });

    it('trust: a man in the middle with good certificates and no key cannot pass the handshake on', async () => {
      const server = createTlsServer({ key: beta.key, cert: beta.certificate, ca: beta.ca, requestCert: true }, (front) => {
        const { host, port } = parseTcpUrl(listener.address);
        const back = connectTls({
          host,
          port,
          key: alpha.key,
          cert: alpha.certificate,
          ca: alpha.ca,
          checkServerIdentity: () => undefined,
        });
        for (const [from, to] of [
          [front, back],
          [back, front],
        ] as const) {
          cleanups.push(() => from.destroy());
          from.on('error', () => undefined).pipe(to);
        }
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      cleanups.push(() => server.close());
      const dial = `tcp://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
      expect(await refusedAt({ tls: keysOf('alpha', alpha), dial })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
    });

    it('goes on with a connection while its keys are replaced, and uses the new ones for the next', async () => {
      const keys = keysOf('alpha', alpha);
      const transport = dialler({ tls: keys });
      const first = await transport.dial();
      await until(() => accepted.length === 1);
      expect(problemOf(() => keys.replace(beta))).to.match(/^HM_TLS_KEYS the certificate is not for alpha/);
      const second = await transport.dial();
      keys.replace(await other.nodeCertificates('alpha'));
      expect(await codeOf(transport.dial())).to.equal('HM_WRONG_KEY');
      keys.replace(await alphas({}));
      await transport.dial();
      await until(() => accepted.length === 3);
      const streams = accepted.map(received);
      first.send([secret]);
      second.send([secret]);
      await until(() => streams.filter(({ frames }) => frames.length === 1).length === 2);
    });

    it('names keys and certificates that cannot be used', () => {
      expect(problemOf(() => keysOf('alpha', beta))).to.match(/^HM_TLS_KEYS the certificate is not for alpha/);
      for (const wrong of [{ key: beta.key }, { key: '' }, { certificate: '' }, { ca: '' }, { certificate: 'nonsense' }, { ca: alpha.key }])
        expect(problemOf(() => keysOf('alpha', { ...alpha, ...wrong }))).to.match(/^HM_TLS_KEYS the key and certificates/);
    });
  });

  describe('with pre-shared keys', () => {
    const tls = keysOf('alpha', psk);
    beforeEach(() => listen({ tls: keysOf('beta', psk) }));

    it('turns away another key, and another name', async () => {
      const wrong = new Map([...presharedKeys, ['alpha', new Uint8Array(32)]]);
      expect(await refusedAt({ tls: keysOf('alpha', { psk: wrong }) })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
      const named = new LinkKeys({ node: 'gamma', peer: 'beta', credentials: { psk: new Map([...wrong, ['gamma', new Uint8Array(32)]]) } });
      expect(await refusedAt({ tls: named })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
      // Its own name is nobody else's.
      const beta = new LinkKeys({ node: 'beta', peer: 'alpha', credentials: psk });
      expect(await refusedAt({ tls: beta })).to.deep.equal(['HM_WRONG_KEY', 'HM_WRONG_KEY']);
      expect(problemOf(() => keysOf('alpha', { psk: new Map([['alpha', key]]) }))).to.equal(
        'HM_TLS_KEYS there is no pre-shared key for beta',
      );
    });

    it('turns away who speaks no TLS, as without TLS it turns away who does', async () => {
      expect(await refusedAt({})).to.deep.equal(['HM_CONNECT_FAILED', 'HM_BAD_MAGIC']);
      expect(rejected.at(-1)?.remedy).to.contain('`tls` at both nodes or at neither');
      await listen({});
      expect(await refusedAt({ tls })).to.deep.equal(['HM_BAD_MAGIC', 'HM_BAD_MAGIC']);
    });

    it('gives a typed error for whatever else connects', async () => {
      const hello = await clientHello();
      const damaged = Buffer.from(hello);
      damaged[sessionIdLengthAt] = 0xff;
      const cases: readonly (readonly [Uint8Array, string])[] = [
        [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'HM_BAD_MAGIC'],
        [preamble, 'HM_BAD_MAGIC'],
        [Buffer.alloc(100_000), 'HM_BAD_MAGIC'],
        [damaged, 'HM_PROTOCOL'],
        [hello, 'HM_WRONG_KEY'],
      ];
      for (const [index, [bytes, code]] of cases.entries()) {
        await raw(bytes);
        await until(() => rejected.length > index);
        expect(rejected[index]?.code, rejected[index]?.message).to.equal(code);
      }
      const half = await raw(hello.subarray(0, 40));
      half.end();
      await until(() => rejected.length > cases.length);
      expect(rejected.at(-1)?.code).to.equal('HM_CONNECTION_LOST');
      const { host, port } = parseTcpUrl(listener.address);
      const old = connectTls({ host, port, maxVersion: 'TLSv1.2', rejectUnauthorized: false }).on('error', () => undefined);
      cleanups.push(() => old.destroy());
      await until(() => rejected.length > cases.length + 1);
      expect(rejected.at(-1)?.code).to.equal('HM_VERSION');
    });

    it('ends a handshake of TLS that drips or stalls, by the deadline', async () => {
      const clock = new VirtualClock();
      await listen({ tls: keysOf('beta', psk), clock });
      const hello = await clientHello();
      const socket = await raw(hello.subarray(0, 1));
      const closed = once(socket, 'close');
      for (let byte = 1; byte < 5; byte += 1) {
        await clock.runFor(smallLimits.handshakeDeadlineMs / 5);
        socket.write(hello.subarray(byte, byte + 1));
      }
      expect(rejected).to.have.length(0);
      await clock.runFor(smallLimits.handshakeDeadlineMs);
      await until(() => rejected.length > 0);
      socket.end();
      await closed;
      expect(rejectedCodes()).to.deep.equal(['HM_HANDSHAKE_TIMEOUT']);
      expect(clock.pendingTimers).to.equal(0);
    });

    it('gives up on a listener that says nothing, or leaves, and when it is told to', async () => {
      const clock = new VirtualClock();
      const mute = await rawServer(() => undefined);
      const dial = codeOf(dialler({ tls, clock, dial: mute.url }).dial());
      await mute.connected;
      expect(await clock.settled(dial, 10 * smallLimits.handshakeDeadlineMs)).to.equal('HM_HANDSHAKE_TIMEOUT');
      const brief = await rawServer((socket) => socket.end());
      expect(await codeOf(dialler({ tls, dial: brief.url }).dial())).to.equal('HM_CONNECT_FAILED');
      const patient = new AbortController();
      const another = await rawServer((socket) => socket.once('data', () => patient.abort()));
      expect(await codeOf(dialler({ tls, dial: another.url }).dial(patient.signal))).to.equal('HM_ABORTED');
    });

    it('has one deadline for TLS and what is within it', async () => {
      const clock = new VirtualClock();
      await listen({ tls: keysOf('beta', psk), clock });
      const { host, port } = parseTcpUrl(listener.address);
      const quiet = connectTls({
        ...{ host, port, ca: [], ciphers: 'TLS_AES_128_GCM_SHA256', checkServerIdentity: () => undefined },
        pskCallback: () => ({ psk: presharedKeys.get('alpha')!, identity: 'alpha' }),
      }).on('error', () => undefined);
      cleanups.push(() => quiet.destroy());
      await once(quiet, 'data');
      await clock.runFor(smallLimits.handshakeDeadlineMs + 1);
      await until(() => rejected.length > 0);
      expect(rejectedCodes()).to.deep.equal(['HM_HANDSHAKE_TIMEOUT']);
    });

    it('stays open for the peer while strangers crowd in, a bounded number at once', async () => {
      const unauthenticatedConnections = 8;
      await listen({ tls: keysOf('beta', psk), limits: { ...smallLimits, unauthenticatedConnections } });
      const hello = await clientHello();
      const crowd = 100;
      for (let index = 0; index < crowd; index += 1) await raw(hello.subarray(0, 20));
      const connection = await dialler({ tls }).dial();
      await until(() => accepted.length === 1);
      expect(accepted[0]?.id).to.equal(connection.id);
      await until(() => rejected.length >= crowd - unauthenticatedConnections);
      expect(new Set(rejectedCodes())).to.deep.equal(new Set(['HM_BUSY']));
    });

    it('lets go of strangers when the listener closes', async () => {
      const socket = await raw((await clientHello()).subarray(0, 20));
      const gone = new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
      await listener.close();
      await gone;
      expect(accepted).to.have.length(0);
    });

    it('nothing of a frame can be read on the way; a changed byte ends the connection with HM_BAD_CHECKSUM, a cut is a loss', async () => {
      const proxy = await proxyTo(listener.address);
      cleanups.push(() => proxy.close());
      for (const [index, [tamper, code]] of (
        [
          [(bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]), 'HM_BAD_CHECKSUM'],
          [(bytes: Buffer) => Buffer.concat([bytes, bytes]), 'HM_BAD_CHECKSUM'],
          [() => null, 'HM_CONNECTION_LOST'],
        ] as const
      ).entries()) {
        proxy.tamper = (bytes) => bytes;
        const connection = await dialler({ tls, dial: proxy.url }).dial();
        await until(() => accepted.length > index);
        const { frames, end } = received(accepted[index]);
        connection.receive({ frame: () => undefined, closed: () => undefined });
        connection.send([secret]);
        await until(() => frames.length === 1);
        proxy.tamper = tamper;
        connection.send([secret]);
        expect((await end)?.code).to.equal(code);
        expect(Buffer.concat(proxy.seen).includes(secret)).to.equal(false);
      }
    });
  });

  /** What a client of TLS 1.3 says first. */
  async function clientHello(): Promise<Buffer> {
    const said = new Promise<Buffer>((resolve) => {
      void rawServer((socket) => socket.once('data', resolve)).then(({ url }) => {
        const { host, port } = parseTcpUrl(url);
        const socket = connect({ host, port });
        const client = connectTls({ socket, minVersion: 'TLSv1.3' }).on('error', () => undefined);
        cleanups.push(() => client.destroy());
      });
    });
    return said;
  }
});
