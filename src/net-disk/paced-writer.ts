import type { Socket } from 'node:net';

/** What TLS is given at once, in bytes: it encrypts all that it is given into memory of its own, whether the client takes it or not. */
const pieceBytes = 256 * 2 ** 10;

/** Sends to a socket of TLS piece by piece, so that what waits there for its client lies in memory once, where it is counted. */
export class PacedWriter {
  readonly #socket: Socket;
  readonly #drained: () => void;
  /** What is still to be given, in order. */
  readonly #parts: Uint8Array[] = [];
  #busy = false;

  /** `drained` is called each time that all has left. */
  constructor(socket: Socket, drained: () => void) {
    this.#socket = socket;
    this.#drained = drained;
  }

  /** All has left that was to be sent. */
  get idle(): boolean {
    return !this.#busy;
  }

  send(parts: readonly Uint8Array[]): void {
    this.#parts.push(...parts);
    if (!this.#busy) this.#next();
  }

  #next(): void {
    const pieces = this.#take();
    this.#busy = pieces.length > 0;
    if (!this.#busy) {
      this.#drained();
      return;
    }
    const last = pieces.length - 1;
    this.#socket.cork();
    pieces.forEach((piece, index) => this.#socket.write(piece, index === last ? this.#written : undefined));
    this.#socket.uncork();
  }

  #take(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    for (let leftBytes = pieceBytes; leftBytes > 0;) {
      const part = this.#parts.shift();
      if (!part) break;
      pieces.push(part.subarray(0, leftBytes));
      if (part.byteLength > leftBytes) this.#parts.unshift(part.subarray(leftBytes));
      leftBytes -= part.byteLength;
    }
    return pieces;
  }

  readonly #written = (): void => {
    if (!this.#socket.destroyed) this.#next();
  };
}
