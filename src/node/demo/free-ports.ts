import { createServer } from 'node:net';
import type { Server } from 'node:net';

import type { Random } from '../../clock/random.ts';
import { HotMirrorError } from '../../errors.ts';

/** Below the ranges from which systems take the ports of outgoing connections (Linux from 32,768): a node that dials its absent peer must not end up in its place. */
const firstPort = 10_000;
const portCount = 20_000;
const triesPerPort = 100;

/** Ports of the loopback address that nobody listens at now: held together, so that they differ. Rejects with `HM_ADDRESS_IN_USE` where none is found. */
export async function freePorts(count: number, random: Random): Promise<number[]> {
  const held = new Map<number, Server>();
  try {
    for (let tries = 0; held.size < count; tries += 1) {
      if (tries > count * triesPerPort) throw new HotMirrorError('HM_ADDRESS_IN_USE', 'no free ports were found on 127.0.0.1');
      const port = firstPort + Math.floor(random.fraction() * portCount);
      const server = held.has(port) ? null : await listen(port);
      if (server) held.set(port, server);
    }
    return [...held.keys()];
  } finally {
    for (const server of held.values()) await new Promise((resolve) => server.close(resolve));
  }
}

function listen(port: number): Promise<Server | null> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => {
      resolve(null);
    });
    server.listen(port, '127.0.0.1', () => {
      resolve(server);
    });
  });
}
