import type { Duplex } from 'node:stream';

/**
 * The one place that reads a stream of bytes: through the handshake and then for the connection, without a gap between them.
 * It starts paused. A chunk's memory may be used again after the sink returned.
 */
export class StreamReader {
  readonly stream: Duplex;
  #sink: (chunk: Uint8Array) => void = () => undefined;

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.pause();
    // An error may come while nobody else listens, between handshake and connection; 'close' follows it.
    stream.on('error', () => undefined);
    stream.on('data', this.take);
  }

  /** Who is there has proven who he is: more may be read at once. */
  widen(): void {
    // As it comes, a stream decides itself how much that is.
  }

  /** Who gets what is read from now on. */
  into(sink: (chunk: Uint8Array) => void): void {
    this.#sink = sink;
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  protected readonly take = (chunk: Uint8Array): void => {
    this.#sink(chunk);
  };
}
