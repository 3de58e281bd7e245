import type { Duplex } from 'node:stream';

import type { ErrorCode } from '../errors.ts';

/** What an error of a stream says of the connection over it. */
export interface StreamLoss {
  readonly code: ErrorCode;
  readonly why: string;
}

/**
 * The one place that reads a stream of bytes: through the handshake and then for the connection, without a gap between them.
 * It starts paused. A chunk's memory may be used again after the sink returned.
 */
export class StreamReader {
  readonly stream: Duplex;
  /** Where nothing waits, what is written is with the operating system at once, and its memory free again. */
  readonly takesAtOnce: boolean = true;
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

  /** The other end has said its last: lets go of the stream. */
  finish(): void {
    this.stream.destroy();
  }

  /** What an error of the stream says, once the peer is proven. */
  lossOf(cause: Error): StreamLoss {
    return { code: 'HM_CONNECTION_LOST', why: cause.message };
  }

  protected readonly take = (chunk: Uint8Array): void => {
    this.#sink(chunk);
  };
}
