import type { Duplex } from 'node:stream';

import type { Clock } from '../../clock/clock.ts';
import type { Random } from '../../clock/random.ts';
import { HotMirrorError } from '../../errors.ts';
import { sharedKeyBytes } from '../authentication.ts';
import { dialAttempt } from '../dial-attempt.ts';
import { transportLimits } from '../limits.ts';
import type { TransportLimits } from '../limits.ts';
import { StreamConnection } from '../stream-connection.ts';
import { authenticate } from '../stream-handshake.ts';
import { StreamReader } from '../stream-reader.ts';
import type { Connection, Listener, ListenHandlers, Transport, TransportCapabilities } from '../transport.ts';
import { Endpoint } from './endpoint.ts';
import type { OpenExchange } from './exchange.ts';

/** What every link over the bus needs, whatever carries its messages. */
export interface ScsiLinkOptions {
  /** Id of the peer node on the bus. */
  readonly peerId: number;
  /** The pair's name; both nodes must say the same. */
  readonly pair: string;
  readonly node: string;
  readonly peer: string;
  /** The link and its use, such as `monitor:scsi`; both nodes must say the same. */
  readonly purpose: string;
  /** The key that both nodes share, 32 bytes; null where whoever reaches the bus is trusted. */
  readonly key: Uint8Array | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<TransportLimits>;
  /** Called whenever bytes of the peer come. */
  readonly onBytes?: () => void;
  /** A bus error has taken down this host: where the bus is to be true to life, the process does not survive the call. */
  readonly onBusError?: (error: HotMirrorError) => void;
}

/** Enough for tokens, and a small part of what a data link may hold. */
const tokenLimits: Partial<TransportLimits> = {
  maxFrameBytes: 131_072,
  highWaterBytes: 65_536,
  pendingBytes: 1_048_576,
  unauthenticatedConnections: 16,
};

/** A link whose bytes go in messages over the bus. */
export class ScsiLink implements Transport {
  readonly capabilities: TransportCapabilities;
  readonly description: string;
  readonly #options: ScsiLinkOptions;
  readonly #limits: TransportLimits;
  readonly #key: Uint8Array | null;
  readonly #endpoint: Endpoint;

  constructor(options: ScsiLinkOptions, description: string, open: OpenExchange) {
    const { key, clock, random, onBusError } = options;
    if (key && key.length !== sharedKeyBytes) throw new RangeError(`key must hold ${String(sharedKeyBytes)} bytes`);
    this.#options = options;
    this.#key = key && Uint8Array.from(key);
    this.#limits = transportLimits({ ...tokenLimits, ...options.limits });
    this.description = description;
    this.capabilities = { maxFrameBytes: this.#limits.maxFrameBytes, authenticated: key !== null, encrypted: false, bulk: false };
    this.#endpoint = new Endpoint({
      ...{ open, clock, random, description, lingerMs: this.#limits.closeDeadlineMs },
      busError: (error) => onBusError?.(error),
    });
  }

  dial(signal?: AbortSignal): Promise<Connection> {
    return dialAttempt(this.description, signal, (attempt) => this.#connect(attempt));
  }

  async listen(handlers: ListenHandlers): Promise<Listener> {
    const strangers = new Strangers(handlers, this.#limits.unauthenticatedConnections, this.description, (stream, signal) =>
      this.#authenticated('listener', stream, this.#limits.handshakeDeadlineMs, signal),
    );
    const stop = await this.#endpoint.listen({
      opened: (stream) => void strangers.admit(stream),
      rejected: (error) => strangers.reject(error),
    });
    return {
      address: this.description,
      close: () => {
        stop();
        strangers.close();
        return Promise.resolve();
      },
    };
  }

  async #connect(signal: AbortSignal): Promise<Connection> {
    const { clock, peerId } = this.#options;
    const { handshakeDeadlineMs } = this.#limits;
    const beganMs = clock.nowMs();
    const stream = await this.#endpoint.dial(peerId, handshakeDeadlineMs, signal);
    return this.#authenticated('dialler', stream, handshakeDeadlineMs - (clock.nowMs() - beganMs), signal);
  }

  async #authenticated(role: 'dialler' | 'listener', stream: Duplex, deadlineMs: number, signal: AbortSignal): Promise<Connection> {
    const { pair, node, peer, purpose, clock, random, onBytes } = this.#options;
    const { description } = this;
    const reader = new StreamReader(stream);
    const identity = { pair, node, peer, purpose, key: this.#key, encrypt: false };
    const authenticated = await authenticate(reader, { role, identity, clock, random, deadlineMs, signal, description });
    return new StreamConnection(reader, authenticated, { dialled: role === 'dialler', description, clock, limits: this.#limits, onBytes });
  }
}

type Authenticate = (stream: Duplex, signal: AbortSignal) => Promise<Connection>;

/** Those who have yet to prove themselves, a bounded number at once: when it is reached, the one that takes longest is turned away for the next. */
class Strangers {
  readonly #handlers: ListenHandlers;
  readonly #most: number;
  readonly #description: string;
  readonly #authenticate: Authenticate;
  readonly #waiting = new Map<Duplex, AbortController>();
  #open = true;

  constructor(handlers: ListenHandlers, most: number, description: string, authenticate: Authenticate) {
    this.#handlers = handlers;
    this.#most = most;
    this.#description = description;
    this.#authenticate = authenticate;
  }

  async admit(stream: Duplex): Promise<void> {
    const turnAway = new AbortController();
    if (this.#waiting.size >= this.#most) this.#turnAwayOldest();
    this.#waiting.set(stream, turnAway);
    stream.on('close', () => this.#waiting.delete(stream));
    try {
      const connection = await this.#authenticate(stream, turnAway.signal);
      this.#waiting.delete(stream);
      this.#handlers.accepted(connection);
    } catch (error) {
      this.reject(HotMirrorError.from(error, 'HM_INTERNAL', this.#description));
    }
  }

  reject(error: HotMirrorError): void {
    if (this.#open) this.#handlers.rejected?.(error);
  }

  close(): void {
    this.#open = false;
    for (const turnAway of this.#waiting.values()) turnAway.abort(new HotMirrorError('HM_CLOSED', `${this.#description} was closed`));
  }

  #turnAwayOldest(): void {
    for (const [stream, turnAway] of this.#waiting) {
      this.#waiting.delete(stream);
      turnAway.abort(
        new HotMirrorError('HM_BUSY', `${this.#description}: more than ${String(this.#most)} connections wait for authentication`),
      );
      return;
    }
  }
}
