import type { Done } from '../device/block-device.ts';
import type { ErrorCode } from '../errors.ts';
import type { ClientConnection } from './client-connection.ts';
import { commandFlags, commands } from './protocol.ts';

/** What is done at a server, in one request or several. */
export interface Operation {
  readonly kind: 'read' | 'write' | 'zeroes' | 'trim' | 'flush';
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** What is written, or where what is read goes. */
  readonly bytes: Uint8Array | null;
  readonly fua: boolean;
  readonly noHole: boolean;
  /** `caller`: the device was asked for it; `repeat`: it was done before a connection was lost, and the server may have lost it; `bound`: a flush, so that less is kept. */
  readonly origin: 'caller' | 'repeat' | 'bound';
  readonly done: Done;
}

const commandOf: Readonly<Record<Operation['kind'], number>> = {
  read: commands.read,
  write: commands.write,
  zeroes: commands.writeZeroes,
  trim: commands.trim,
  flush: commands.flush,
};

const failures: Readonly<Record<Operation['kind'], ErrorCode>> = {
  read: 'HM_IO_READ',
  write: 'HM_IO_WRITE',
  zeroes: 'HM_IO_WRITE',
  trim: 'HM_IO_WRITE',
  flush: 'HM_IO_FLUSH',
};

/** Requests of one operation that are under way at once. */
const mostPieces = 8;
/** What a server that cannot write zeroes by itself is sent. */
const zeroes = new Uint8Array(256 * 2 ** 10);

/** The error that such an operation fails with. */
export function failureOf({ kind }: Operation): ErrorCode {
  return failures[kind];
}

/** A flush of everything. */
export function flushOperation(origin: Operation['origin'], done: Done): Operation {
  return { kind: 'flush', offsetBytes: 0, lengthBytes: 0, bytes: null, fua: false, noHole: false, origin, done };
}

/**
 * Whether an operation has to wait for others that the server was asked for: it may carry requests out in any order. So overlapping ones wait, unless both read; and a flush waits for what is
 * repeated, as if it had never been away.
 */
export function mustWait(operation: Operation, others: Iterable<Operation>): boolean {
  const { kind, offsetBytes, lengthBytes } = operation;
  for (const other of others) {
    if (kind === 'flush' && other.origin === 'repeat') return true;
    if (kind === 'read' && other.kind === 'read') continue;
    // The range of a flush is empty, so nothing overlaps it.
    if (offsetBytes < other.offsetBytes + other.lengthBytes && other.offsetBytes < offsetBytes + lengthBytes) return true;
  }
  return false;
}

/** Carries an operation out, in requests no larger than the server takes. `ended` hears the first error of it, 0 for none; nothing where the connection ends first. */
export function carryOut(connection: ClientConnection, operation: Operation, ended: (error: number) => void): void {
  const { kind, offsetBytes, lengthBytes, bytes, fua, noHole } = operation;
  const { requestBytes, writeZeroes } = connection.exported;
  const plainZeroes = kind === 'zeroes' && !writeZeroes;
  const pieceBytes = plainZeroes ? Math.min(requestBytes, zeroes.byteLength) : requestBytes;
  const command = plainZeroes ? commands.write : commandOf[kind];
  const flags = (fua ? commandFlags.fua : 0) | (noHole && !plainZeroes ? commandFlags.noHole : 0);
  let [at, underWay, failure] = [0, 0, 0];
  const ask = (): void => {
    const length = Math.min(pieceBytes, lengthBytes - at);
    const part = bytes?.subarray(at, at + length) ?? null;
    underWay += 1;
    connection.request({
      ...{ command, flags, offsetBytes: offsetBytes + at, lengthBytes: length },
      payload: plainZeroes ? zeroes.subarray(0, length) : kind === 'write' ? part : null,
      into: kind === 'read' ? part : null,
      answered: (error) => {
        underWay -= 1;
        failure ||= error;
        const more = at < lengthBytes && failure === 0;
        if (more && connection.open) ask();
        else if (!more && underWay === 0) ended(failure);
      },
    });
    at += length;
  };
  do ask();
  while (at < lengthBytes && underWay < mostPieces);
}
