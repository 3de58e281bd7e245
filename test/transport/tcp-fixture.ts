import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import type { TransportFixture } from '../../src/testing/transport-conformance.ts';
import { tcpTransport } from '../../src/transport/tcp.ts';
import type { TcpTransportOptions } from '../../src/transport/tcp.ts';
import type { Transport } from '../../src/transport/transport.ts';
import { formatTcpUrl, parseTcpUrl } from '../../src/transport/url.ts';

export const key: Uint8Array = Buffer.alloc(32, 7);

/** Small enough that a test reaches them. */
export const smallLimits = {
  maxFrameBytes: 256 * 1024,
  highWaterBytes: 64 * 1024,
  pendingBytes: 1024 * 1024,
  closeDeadlineMs: 800,
  handshakeDeadlineMs: 10_000,
};

/** URLs at which nothing listens now, all different. */
export async function freeUrls(count: number, host = '127.0.0.1'): Promise<string[]> {
  const servers: Server[] = [];
  for (let index = 0; index < count; index += 1) {
    const server = createServer().listen(0, host);
    await once(server, 'listening');
    servers.push(server);
  }
  const urls = servers.map((server) => formatTcpUrl({ host, port: (server.address() as AddressInfo).port }));
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return urls;
}

/** A pair of transports between alpha and beta, with what a test wants different. */
export async function tcpPair(
  both: Partial<TcpTransportOptions> = {},
  alpha: Partial<TcpTransportOptions> = {},
): Promise<{ a: Transport; b: Transport }> {
  const [urlA = '', urlB = ''] = await freeUrls(2);
  const common = { pair: 'example', purpose: 'data:m0', key, clock: systemClock, random: systemRandom, limits: smallLimits, ...both };
  return {
    a: tcpTransport({ listen: urlA, dial: urlB, node: 'alpha', peer: 'beta', ...common, ...alpha }),
    b: tcpTransport({ listen: urlB, dial: urlA, node: 'beta', peer: 'alpha', ...common }),
  };
}

/** Connects to a listener without a transport. */
export async function rawSocket(url: string): Promise<Socket> {
  const { host, port } = parseTcpUrl(url);
  const socket = connect({ host, port, allowHalfOpen: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Remembers what a transport hands out, so that everything can be let go of. */
export function tracked(transport: Transport, cleanups: (() => unknown)[]): Transport {
  return {
    capabilities: transport.capabilities,
    description: transport.description,
    async dial(signal) {
      const connection = await transport.dial(signal);
      cleanups.push(() => {
        connection.destroy();
      });
      return connection;
    },
    async listen(handlers) {
      const listener = await transport.listen({
        accepted: (connection) => {
          cleanups.push(() => {
            connection.destroy();
          });
          handlers.accepted(connection);
        },
        rejected: (error) => handlers.rejected?.(error),
      });
      cleanups.push(() => listener.close());
      return listener;
    },
  };
}

/** What the conformance suite needs, over TCP. */
export async function tcpFixture(
  options: Partial<TcpTransportOptions>,
  alpha: Partial<TcpTransportOptions> = {},
): Promise<TransportFixture> {
  const cleanups: (() => unknown)[] = [];
  const pair = await tcpPair(options, alpha);
  const [a, b] = [tracked(pair.a, cleanups), tracked(pair.b, cleanups)];
  const strangerOptions = { key: Buffer.alloc(32, 8), listen: null, dial: pair.a.description };
  const stranger = tcpTransport({
    pair: 'example',
    purpose: 'data:m0',
    clock: systemClock,
    random: systemRandom,
    limits: smallLimits,
    node: 'alpha',
    peer: 'beta',
    ...options,
    ...alpha,
    ...strangerOptions,
  });
  return {
    a,
    b,
    stranger,
    settle: (promise) => promise,
    async raw(listener, bytes) {
      const socket = await rawSocket(listener.address);
      const ended = new Promise((resolve) => socket.on('end', resolve).on('close', resolve));
      socket.on('data', () => undefined);
      socket.write(bytes);
      await ended;
      socket.destroy();
    },
    async dispose() {
      for (const cleanup of cleanups) await cleanup();
    },
  };
}
