import { createServer } from 'node:net';
import type { Server } from 'node:net';

import { HotMirrorError } from '../errors.ts';
import { errnoOf } from './file-errors.ts';

/** Length of a socket address on Linux, its leading zero byte included. */
const addressBytes = 108;

/** What makes a file one file, whatever its path: hard links and other paths have the same. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** A lock that is held until it is released or its process (or worker thread) ends, however it ends. */
export interface ElementLock {
  release(): Promise<void>;
}

/**
 * Takes the lock on a regular file, or rejects with `HM_DEVICE_IN_USE` when this or another process holds it.
 *
 * Node offers no `flock`, and a file that names a process outlives it. The kernel keeps abstract unix sockets for exactly as long as
 * their owner lives, so the lock is the name of such a socket, made of the file's device number and inode.
 *
 * Limits: the name is seen within one network namespace, so two containers that share a file on one kernel don't see each other's lock, nor do two
 * machines that share a file system. Anyone on the machine can take the name, which refuses the element and harms nothing.
 */
export async function lockFile(identity: FileIdentity, path: string): Promise<ElementLock> {
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.destroy();
  });
  await listen(server, addressOf(identity), path);
  // The lock alone keeps no process alive.
  server.unref();
  return { release: () => close(server) };
}

/** Padded to the full length: Node 20 pads with zeroes itself, later versions don't, and they must exclude each other. */
function addressOf({ dev, ino }: FileIdentity): string {
  return `\0hotmirror:element:${String(dev)}:${String(ino)}:`.padEnd(addressBytes, '-');
}

function listen(server: Server, address: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const inUse = errnoOf(cause) === 'EADDRINUSE';
      const code = inUse ? 'HM_DEVICE_IN_USE' : 'HM_DEVICE_ACCESS';
      reject(new HotMirrorError(code, inUse ? `${path} is open elsewhere` : `${path} cannot be locked: ${cause.message}`, { cause }));
    });
    // `exclusive`: under node:cluster the primary would share the socket among its workers.
    server.listen({ path: address, exclusive: true }, () => {
      server.removeAllListeners('error').on('error', () => undefined);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
