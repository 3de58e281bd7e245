import type { Socket } from 'node:net';

/**
 * The one place that reads a socket: through the handshake and then for the connection, without a gap between them.
 * It starts paused. A chunk's memory may be used again after the sink returned.
 */
export class SocketReader {
  readonly socket: Socket;
  #sink: (chunk: Uint8Array) => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.pause();
    // An error may come while nobody else listens, between handshake and connection; 'close' follows it.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Uint8Array) => {
      this.#sink(chunk);
    });
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
}
