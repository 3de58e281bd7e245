import { Socket } from 'node:net';
import type { OnReadOpts } from 'node:net';

/** Where what is read from a socket goes. */
export interface IntakeSink {
  /** Where the next bytes go; never empty. */
  buffer(): Uint8Array;
  /** So many came. False: no more is to be read until the intake is resumed. */
  filled(lengthBytes: number): boolean;
}

/** A socket that is read into a sink. */
export interface Intake {
  readonly socket: Socket;
  /** Reads, or goes on reading. */
  resume(): void;
}

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
 * Has an accepted socket, which has read nothing yet, read straight into the memory of the sink. Node documents that (`onread`) for sockets that dial. One that was accepted
 * is left for a new one with the same handle; where there is no such handle, what is read is copied, as by {@link copiedInto}.
 */
export function readInto(accepted: Socket, sink: IntakeSink): Intake {
  const { _handle: handle } = accepted as unknown as WithHandle;
  if (!handle) return copiedInto(accepted, sink);
  const onread: OnReadOpts = { buffer: () => sink.buffer(), callback: (lengthBytes) => sink.filled(lengthBytes) };
  const options: SocketOptions = { handle, onread, allowHalfOpen: true };
  const socket = new Socket(options);
  socket.pause();
  // The old socket must not close what the new one reads.
  (accepted as unknown as WithHandle)._handle = null;
  return { socket, resume: () => void socket.resume() };
}

/** Copies what any socket reads into the memory of the sink; the documented way, and the one for TLS. */
export function copiedInto(socket: Socket, sink: IntakeSink): Intake {
  let rest: Uint8Array = new Uint8Array(0);
  /** Whether all of it found room. */
  const pour = (): boolean => {
    while (rest.byteLength > 0) {
      const room = sink.buffer();
      const lengthBytes = Math.min(room.byteLength, rest.byteLength);
      room.set(rest.subarray(0, lengthBytes));
      rest = rest.subarray(lengthBytes);
      if (!sink.filled(lengthBytes)) return false;
    }
    return true;
  };
  socket.pause();
  socket.on('data', (chunk: Uint8Array) => {
    rest = chunk;
    if (!pour()) socket.pause();
  });
  return {
    socket,
    resume: () => {
      if (pour()) socket.resume();
    },
  };
}
