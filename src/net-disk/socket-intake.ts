import type { Socket } from 'node:net';

import { takeOver } from '../transport/taken-over-socket.ts';

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

/** Has an accepted socket, which has read nothing yet, read straight into the memory of the sink; where that cannot be, what is read is copied, as by {@link copiedInto}. */
export function readInto(accepted: Socket, sink: IntakeSink): Intake {
  const socket = takeOver(accepted, { buffer: () => sink.buffer(), callback: (lengthBytes) => sink.filled(lengthBytes) });
  return socket ? { socket, resume: () => void socket.resume() } : copiedInto(accepted, sink);
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
