import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { formatTcpUrl, parseTcpUrl } from '../../src/transport/url.ts';

/** Changes what passes: gives the bytes to pass on, or null to end the connection there. */
export type Tamper = (bytes: Buffer, fromByte: number) => Buffer | null;

/** A man in the middle: passes bytes on to the target, in both directions, and remembers what the dialler sent. */
export interface Proxy {
  readonly url: string;
  readonly seen: Buffer[];
  /** Applied to what the dialler sends. */
  tamper: Tamper;
  /** Lets nothing pass, either way, and ends nothing: as a machine without power, or a cable that is out, behind a switch that still has one. */
  silent: boolean;
  close(): Promise<void>;
}

export async function proxyTo(targetUrl: string, host = '127.0.0.1'): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const seen: Buffer[] = [];
  const server = createServer((front) => {
    const target = parseTcpUrl(targetUrl);
    const back = connect({ host: target.host, port: target.port, noDelay: true });
    let passed = 0;
    for (const socket of [front, back]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    front.on('data', (bytes: Buffer) => {
      if (proxy.silent) return;
      seen.push(bytes);
      const changed = proxy.tamper(Buffer.from(bytes), passed);
      passed += bytes.length;
      if (changed) back.write(changed);
      else back.destroy();
    });
    back.on('data', (bytes: Buffer) => {
      if (!proxy.silent) front.write(bytes);
    });
    front.on('close', () => proxy.silent || back.destroy());
    back.on('close', () => proxy.silent || front.destroy());
  });
  server.listen(0, host);
  await once(server, 'listening');
  const proxy: Proxy = {
    url: formatTcpUrl({ host, port: (server.address() as AddressInfo).port }),
    seen,
    tamper: (bytes) => bytes,
    silent: false,
    async close() {
      for (const socket of sockets) socket.destroy();
      await once(server.close(), 'close');
    },
  };
  return proxy;
}
