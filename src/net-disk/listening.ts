import type { Server } from 'node:net';

import { HotMirrorError } from '../errors.ts';
import { bound, listenAtFile } from '../transport/unix-socket.ts';
import { formatAddress } from './net-disk-address.ts';
import type { NetDiskAddress } from './net-disk-address.ts';

/** Has a server listen. Returns what takes its socket file away, to be called before it closes. Rejects with `HM_ADDRESS_IN_USE`, `HM_ADDRESS`. */
export async function listenAt(server: Server, address: NetDiskAddress): Promise<() => Promise<void>> {
  if ('path' in address) return await listenAtFile(server, address.path, 'no net disk');
  try {
    await bound(server, address);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = `no net disk at ${formatAddress(address)}: ${code ?? message}`;
    throw new HotMirrorError(code === 'EADDRINUSE' ? 'HM_ADDRESS_IN_USE' : 'HM_ADDRESS', why, { cause });
  }
  return () => Promise.resolve();
}
