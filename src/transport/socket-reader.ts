import { connect } from 'node:net';
import type { OnReadOpts, Socket, TcpNetConnectOpts } from 'node:net';

import { StreamReader } from './stream-reader.ts';
import { takeOver } from './taken-over-socket.ts';

/** Reads a TCP socket into memory that stays the same: little, until `widen`, then up to `widestBytes` at a time. */
export class SocketReader extends StreamReader {
  readonly socket: Socket;
  readonly #memory: ReadMemory;

  private constructor(socket: Socket, memory: ReadMemory) {
    super(socket);
    this.socket = socket;
    this.#memory = memory;
    memory.sink = this.take;
  }

  /** A connection that was accepted and has read nothing yet. */
  static accepted(socket: Socket, widestBytes: number): SocketReader {
    const memory = new ReadMemory(widestBytes);
    return new SocketReader(takeOver(socket, memory) ?? socket, memory);
  }

  /** A connection that is being made. */
  static dialling(options: TcpNetConnectOpts, widestBytes: number): SocketReader {
    const memory = new ReadMemory(widestBytes);
    return new SocketReader(connect({ ...options, onread: memory }), memory);
  }

  override widen(): void {
    this.#memory.widen();
  }
}

/** Enough for a handshake. */
const narrowBytes = 2 ** 16;

/** What a socket reads into, and whom it tells. */
class ReadMemory implements OnReadOpts {
  sink: (chunk: Uint8Array) => void = () => undefined;
  readonly #widestBytes: number;
  #memory: Uint8Array;

  constructor(widestBytes: number) {
    this.#widestBytes = widestBytes;
    this.#memory = Buffer.allocUnsafeSlow(Math.min(narrowBytes, widestBytes));
  }

  widen(): void {
    if (this.#memory.byteLength < this.#widestBytes) this.#memory = Buffer.allocUnsafeSlow(this.#widestBytes);
  }

  /** Asked for after each read: what the next one goes into. */
  readonly buffer = (): Uint8Array => this.#memory;

  readonly callback = (lengthBytes: number, memory: Uint8Array): boolean => {
    this.sink(memory.subarray(0, lengthBytes));
    return true;
  };
}
