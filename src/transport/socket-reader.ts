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

  /** Any stream of bytes, as it comes. */
  constructor(socket: Socket) {
    this.socket = socket;
    socket.pause();
    // An error may come while nobody else listens, between handshake and connection; 'close' follows it.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Uint8Array) => this.#sink(chunk));
  }

  /** A connection that was accepted and has read nothing yet, read up to `bufferBytes` at a time into memory that stays the same. */
  static accepted(socket: Socket, bufferBytes: number): SocketReader {
    const memory = new ReadMemory(bufferBytes);
    const taken = takeOver(socket, memory);
    return memory.for(new SocketReader(taken ?? socket));
  }

  /** The same for a connection that is being made. */
  static dialling(options: TcpNetConnectOpts, bufferBytes: number): SocketReader {
    const memory = new ReadMemory(bufferBytes);
    return memory.for(new SocketReader(connect({ ...options, onread: memory })));
  }

  /** Who gets what is read from now on. */
  into(sink: (chunk: Uint8Array) => void): void {
    this.#sink = sink;
  }

  /** @internal Something was read. */
  read(chunk: Uint8Array): void {
    this.#sink(chunk);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }
}

/** What a socket reads into, and whom it tells. */
class ReadMemory implements OnReadOpts {
  readonly buffer: Uint8Array;
  #reader: SocketReader | null = null;

  constructor(bufferBytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(bufferBytes);
  }

  for(reader: SocketReader): SocketReader {
    this.#reader = reader;
    return reader;
  }

  readonly callback = (lengthBytes: number): boolean => {
    this.#reader?.read(this.buffer.subarray(0, lengthBytes));
    return true;
  };
}
