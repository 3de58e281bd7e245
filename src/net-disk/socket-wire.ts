import type { Socket } from 'node:net';

import { PacedWriter } from './paced-writer.ts';
import type { SessionWire } from './session.ts';
import type { Intake } from './socket-intake.ts';

/** What a {@link SocketWire} tells. */
export interface WireHandlers {
  /** All that was sent has left. */
  sent(): void;
  /** The connection is gone. */
  closed(): void;
}

/** Takes what comes from a socket for TLS; `done` gets what of it is decrypted, or why nothing is. */
export type Secure = (clear: Socket, done: (outcome: { readonly intake: Intake } | { readonly problem: string }) => void) => void;

/** A session's connection over a socket. */
export class SocketWire implements SessionWire {
  #intake: Intake | null = null;
  readonly #handlers: WireHandlers;
  readonly #secure: Secure;
  /** TLS begins as soon as all has left that was sent in the clear. */
  #beginTls: (() => void) | null = null;
  /** Once it is up. */
  #paced: PacedWriter | null = null;
  #ending = false;

  constructor(handlers: WireHandlers, secure: Secure) {
    this.#handlers = handlers;
    this.#secure = secure;
  }

  /** From now on it is this socket. */
  over(intake: Intake): void {
    this.#intake = intake;
    const { socket } = intake;
    socket.setNoDelay(true);
    // 'close' follows it.
    socket.on('error', () => undefined);
    // A client that ends its side hears nothing more.
    socket.on('end', () => this.destroy());
    socket.on('close', () => {
      if (this.#intake === intake) this.#handlers.closed();
    });
  }

  send(parts: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (!socket || socket.destroyed) return true;
    if (this.#paced) {
      this.#paced.send(parts);
      return false;
    }
    const last = parts.length - 1;
    if (last > 0) socket.cork();
    parts.forEach((part, index) => socket.write(part, index === last ? this.#written : undefined));
    if (last > 0) socket.uncork();
    return socket.writableLength === 0;
  }

  resume(): void {
    this.#intake?.resume();
  }

  startTls(done: (problem: string | null) => void): void {
    this.#beginTls = () => {
      const clear = this.#socket;
      if (!clear || clear.destroyed) return;
      this.#secure(clear, (outcome) => {
        if ('problem' in outcome) {
          done(outcome.problem);
          return;
        }
        this.over(outcome.intake);
        this.#paced = new PacedWriter(outcome.intake.socket, () => this.#drained());
        done(null);
        this.resume();
      });
    };
  }

  end(): void {
    this.#ending = true;
    if (this.#paced?.idle ?? true) this.#socket?.destroySoon();
  }

  destroy(): void {
    this.#socket?.destroy();
  }

  get #socket(): Socket | null {
    return this.#intake?.socket ?? null;
  }

  #drained(): void {
    this.#handlers.sent();
    if (this.#ending && this.#paced?.idle === true) this.#socket?.destroySoon();
  }

  readonly #written = (): void => {
    if (this.#socket?.writableLength !== 0) return;
    this.#handlers.sent();
    const beginTls = this.#beginTls;
    this.#beginTls = null;
    beginTls?.();
  };
}
