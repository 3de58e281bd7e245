import { connect } from 'node:net';
import type { OnReadOpts, Socket, TcpNetConnectOpts } from 'node:net';

import { takeOver } from './taken-over-socket.ts';

/**
 * The one place that reads a socket: through the handshake and then for the connection, without a gap between them.
 * It starts paused. A chunk's memory may be used again after the sink returned.
 */
export class SocketReader {
  readonly socket: Socket;
  #sink: (chunk: Uint8Array) => void = () => undefined;
  #memory: ReadMemory | null = null;

  /** Any stream of bytes, as it comes. */
  constructor(socket: Socket) {
    this.socket = socket;
    socket.pause();
    // An error may come while nobody else listens, between handshake and connection; 'close' follows it.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Uint8Array) => this.#sink(chunk));
  }

  /** A connection that was accepted and has read nothing yet, read into memory that stays the same: little, until `widen`, then up to `widestBytes` at a time. */
  static accepted(socket: Socket, widestBytes: number): SocketReader {
    const memory = new ReadMemory(widestBytes);
    return new SocketReader(takeOver(socket, memory) ?? socket).reading(memory);
  }

  /** The same for a connection that is being made. */
  static dialling(options: TcpNetConnectOpts, widestBytes: number): SocketReader {
    const memory = new ReadMemory(widestBytes);
    return new SocketReader(connect({ ...options, onread: memory })).reading(memory);
  }

  /** Who is there has proven who he is: more may be read at once. */
  widen(): void {
    this.#memory?.widen();
  }

  /** Who gets what is read from now on. */
  into(sink: (chunk: Uint8Array) => void): void {
    this.#sink = sink;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  private reading(memory: ReadMemory): this {
    this.#memory = memory;
    memory.sink = (chunk) => this.#sink(chunk);
    return this;
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
