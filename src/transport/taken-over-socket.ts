import { Socket } from 'node:net';
import type { OnReadOpts } from 'node:net';

/** What Node keeps of an accepted connection: undocumented, and there in Node 20, 22 and 24. */
interface WithHandle {
  _handle?: object | null;
}

/** What `new Socket` takes beside what its types tell: `handle` is undocumented. */
interface SocketOptions {
  readonly handle: object;
  readonly onread: OnReadOpts;
  readonly allowHalfOpen: boolean;
}

/**
 * Has an accepted socket, which has read nothing yet, read straight into memory of one's own. Node documents that (`onread`) for sockets that dial; one that was accepted is left
 * for a new one with the same handle. Null where there is no such handle: then `socket` is as it was, and what it reads is to be copied. The new one is paused.
 */
export function takeOver(socket: Socket, onread: OnReadOpts): Socket | null {
  const { _handle: handle } = socket as unknown as WithHandle;
  if (!handle) return null;
  const options: SocketOptions = { handle, onread, allowHalfOpen: true };
  const taken = new Socket(options);
  taken.pause();
  // The old socket must not close what the new one reads. Its server never hears of the end: it counts this connection for ever, and its `close` calls nobody back.
  (socket as unknown as WithHandle)._handle = null;
  return taken;
}
