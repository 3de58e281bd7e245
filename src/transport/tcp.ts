import { lookup } from 'node:dns/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import createDebug from 'debug';

import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import { sharedKeyBytes } from './authentication.ts';
import type { HandshakeIdentity } from './authentication.ts';
import { dialAttempt } from './dial-attempt.ts';
import { frameHeaderBytes } from './framing.ts';
import { transportLimits } from './limits.ts';
import type { TransportLimits } from './limits.ts';
import { isLoopback } from '../loopback.ts';
import { SocketReader } from './socket-reader.ts';
import { StreamConnection } from './stream-connection.ts';
import { authenticate } from './stream-handshake.ts';
import type { StreamReader } from './stream-reader.ts';
import { secure } from './tls-handshake.ts';
import type { Secured } from './tls-handshake.ts';
import type { LinkKeys } from './tls-keys.ts';
import { TlsReader } from './tls-reader.ts';
import type { Connection, Listener, ListenHandlers, Transport, TransportCapabilities } from './transport.ts';
import { formatTcpUrl, parseTcpUrl } from './url.ts';
import type { TcpAddress } from './url.ts';

export type { TransportLimits } from './limits.ts';
export { LinkKeys } from './tls-keys.ts';
export type { LinkCredentials, LinkKeysOptions, TlsCertificates } from './tls-keys.ts';

const debug = createDebug('hotmirror:transport');

const longestReadBytes = 2 ** 20;

/** A link over TCP. */
export interface TcpTransportOptions {
  /** Where this node listens, such as `tcp://192.0.2.1:7701`; null where it only dials. */
  readonly listen: string | null;
  /** Where the peer is reached. */
  readonly dial: string;
  /** The pair's name; both nodes must say the same. */
  readonly pair: string;
  readonly node: string;
  readonly peer: string;
  /** The link and its use, such as `data:m0`; both nodes must say the same. */
  readonly purpose: string;
  /** The key that both nodes share, 32 bytes; null only on loopback. */
  readonly key: Uint8Array | null;
  readonly clock: Clock;
  readonly random: Random;
  /** `auto` (default): frames are encrypted unless both addresses of the socket are loopback ones, at either end. Without meaning over TLS. */
  readonly encryption?: 'auto' | 'always';
  /** Both nodes speak TLS 1.3 on this link, in place of encrypted frames, and authenticate within it as they do without. Absent: neither does. */
  readonly tls?: LinkKeys | undefined;
  readonly limits?: Partial<TransportLimits>;
  /** Called whenever bytes of the peer come. */
  readonly onBytes?: () => void;
}

/** Makes the transport of a TCP link. Throws `HM_ADDRESS` for a bad URL and `RangeError` for a bad key or limit. */
export function tcpTransport(options: TcpTransportOptions): Transport {
  return new TcpTransport(options);
}

class TcpTransport implements Transport {
  readonly capabilities: TransportCapabilities;
  readonly description: string;
  readonly #options: TcpTransportOptions;
  readonly #limits: TransportLimits;
  readonly #listen: TcpAddress | null;
  readonly #dial: TcpAddress;
  readonly #key: Uint8Array | null;

  constructor(options: TcpTransportOptions) {
    const { key, encryption } = options;
    if (key && key.length !== sharedKeyBytes) throw new RangeError(`key must hold ${String(sharedKeyBytes)} bytes`);
    if (!key && encryption === 'always') throw new RangeError('encryption needs a key');
    this.#options = options;
    this.#key = key && Uint8Array.from(key);
    this.#limits = transportLimits(options.limits);
    this.#listen = options.listen === null ? null : parseTcpUrl(options.listen);
    this.#dial = parseTcpUrl(options.dial);
    this.description = formatTcpUrl(this.#dial);
    const hosts = [this.#dial.host, ...(this.#listen ? [this.#listen.host] : [])];
    const encrypted = options.tls !== undefined || encryption === 'always' || !hosts.every(isLoopback);
    this.capabilities = { maxFrameBytes: this.#limits.maxFrameBytes, authenticated: key !== null, encrypted, bulk: true };
  }

  dial(signal?: AbortSignal): Promise<Connection> {
    return dialAttempt(this.description, signal, (attempt) => this.#connect(attempt));
  }

  async listen(handlers: ListenHandlers): Promise<Listener> {
    if (!this.#listen) throw new HotMirrorError('HM_NOT_SUPPORTED', `${this.description} has no address to listen at; it can only dial`);
    const { host, port } = this.#listen;
    const url = formatTcpUrl(this.#listen);
    const resolved = await lookup(host, { all: true }).catch((cause: unknown) => {
      throw HotMirrorError.from(cause, 'HM_ADDRESS', url);
    });
    if (!this.#key && !resolved.every(({ address }) => isLoopback(address))) {
      throw new HotMirrorError('HM_UNAUTHENTICATED_BIND', `${url} is not a loopback address and there is no key`, { rule: 'trust' });
    }
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    await bind(server, { host: resolved[0]?.address ?? host, port }, url);
    return new TcpListener(server, handlers, this.#limits, (accepted) => this.#meet(accepted));
  }

  async #connect(signal: AbortSignal): Promise<Connection> {
    const { clock, tls } = this.#options;
    const { handshakeDeadlineMs } = this.#limits;
    const deadlineAtMs = clock.nowMs() + handshakeDeadlineMs;
    const target = { ...this.#dial, allowHalfOpen: true, noDelay: true };
    const reader = tls ? null : SocketReader.dialling(target, readBytes(this.#limits));
    const socket = reader?.socket ?? connect(target);
    await established(socket, { clock, signal, deadlineMs: handshakeDeadlineMs, description: this.description });
    if (!this.#key && !isLoopback(socket.remoteAddress ?? '')) {
      socket.destroy();
      throw new HotMirrorError('HM_UNAUTHENTICATED_BIND', `${this.description} is not a loopback address and there is no key`, {
        rule: 'trust',
      });
    }
    const attempt: Attempt = { role: 'dialler', deadlineAtMs, signal };
    return reader ? this.#authenticated(reader, this.#identity(socket), attempt) : this.#secured(socket, attempt);
  }

  #meet(accepted: Socket): Stranger {
    debug('%s: %s connected', this.description, accepted.remoteAddress);
    const deadlineAtMs = this.#options.clock.nowMs() + this.#limits.handshakeDeadlineMs;
    if (this.#options.tls)
      return { socket: accepted, prove: (signal) => this.#secured(accepted, { role: 'listener', deadlineAtMs, signal }) };
    const reader = SocketReader.accepted(accepted, readBytes(this.#limits));
    const { socket } = reader;
    return { socket, prove: (signal) => this.#authenticated(reader, this.#identity(socket), { role: 'listener', deadlineAtMs, signal }) };
  }

  /** TLS first, and within it what is authenticated without; nothing needs to be encrypted twice. */
  async #secured(raw: Socket, attempt: Attempt): Promise<Connection> {
    const { clock, tls } = this.#options;
    if (!tls) throw new HotMirrorError('HM_INTERNAL', `${this.description} has no keys for TLS`);
    const { role, signal, deadlineAtMs } = attempt;
    const deadlineMs = deadlineAtMs - clock.nowMs();
    const secured = await secure(raw, { role, keys: tls, clock, deadlineMs, signal, description: this.description });
    const identity = { ...this.#identity(raw), encrypt: false, binding: secured.binding };
    return this.#authenticated(new TlsReader(secured.socket), identity, attempt, secured.objection);
  }

  async #authenticated(
    reader: StreamReader,
    identity: HandshakeIdentity,
    attempt: Attempt,
    objection: Secured['objection'] = null,
  ): Promise<Connection> {
    const { clock, random, onBytes } = this.#options;
    const { description } = this;
    const { role, signal, deadlineAtMs } = attempt;
    const deadlineMs = deadlineAtMs - clock.nowMs();
    const authenticated = await authenticate(reader, { role, identity, clock, random, deadlineMs, signal, description, objection });
    return new StreamConnection(reader, authenticated, { dialled: role === 'dialler', description, clock, limits: this.#limits, onBytes });
  }

  #identity({ localAddress, remoteAddress }: Socket): HandshakeIdentity {
    const { pair, node, peer, purpose, encryption } = this.#options;
    const local = isLoopback(localAddress ?? '') && isLoopback(remoteAddress ?? '');
    return { pair, node, peer, purpose, key: this.#key, encrypt: encryption === 'always' || !local };
  }
}

/** One try to become a connection. */
interface Attempt {
  readonly role: 'dialler' | 'listener';
  /** All of it, TLS included. */
  readonly deadlineAtMs: number;
  readonly signal: AbortSignal;
}

/** Who has connected, and what is to be waited for until he is the peer. */
interface Stranger {
  readonly socket: Socket;
  readonly prove: (signal: AbortSignal) => Promise<Connection>;
}

/** How much is read at once: a whole frame where that is not long. */
function readBytes({ maxFrameBytes }: TransportLimits): number {
  return Math.min(longestReadBytes, maxFrameBytes + frameHeaderBytes);
}

/** Lets strangers authenticate, a bounded number at once: when it is reached, the one that takes longest is turned away for the next. */
class TcpListener implements Listener {
  readonly address: string;
  readonly #server: Server;
  readonly #handlers: ListenHandlers;
  readonly #limits: TransportLimits;
  readonly #meet: (accepted: Socket) => Stranger;
  readonly #strangers = new Map<Socket, AbortController>();
  #open = true;

  constructor(server: Server, handlers: ListenHandlers, limits: TransportLimits, meet: (accepted: Socket) => Stranger) {
    const { address, port } = server.address() as AddressInfo;
    this.address = formatTcpUrl({ host: address, port });
    this.#server = server;
    this.#handlers = handlers;
    this.#limits = limits;
    this.#meet = meet;
    server.on('connection', (socket) => {
      void this.#admit(socket);
    });
    server.on('error', (cause) => {
      this.#reject(HotMirrorError.from(cause, 'HM_CONNECT_FAILED', `${this.address} could not accept a connection`));
    });
  }

  close(): Promise<void> {
    this.#open = false;
    this.#server.close();
    for (const turnAway of this.#strangers.values()) turnAway.abort(new HotMirrorError('HM_CLOSED', `${this.address} was closed`));
    return Promise.resolve();
  }

  async #admit(accepted: Socket): Promise<void> {
    const { socket, prove } = this.#meet(accepted);
    const turnAway = new AbortController();
    if (this.#strangers.size >= this.#limits.unauthenticatedConnections) this.#turnAwayOldest();
    this.#strangers.set(socket, turnAway);
    socket.on('close', () => this.#strangers.delete(socket));
    let connection: Connection;
    try {
      connection = await prove(turnAway.signal);
    } catch (error) {
      this.#reject(HotMirrorError.from(error, 'HM_INTERNAL', this.address));
      return;
    }
    this.#strangers.delete(socket);
    this.#handlers.accepted(connection);
  }

  #turnAwayOldest(): void {
    for (const [socket, turnAway] of this.#strangers) {
      this.#strangers.delete(socket);
      turnAway.abort(
        new HotMirrorError(
          'HM_BUSY',
          `${this.address}: more than ${String(this.#limits.unauthenticatedConnections)} connections wait for authentication`,
        ),
      );
      return;
    }
  }

  #reject(error: HotMirrorError): void {
    debug('%s: turned away: %s', this.address, error.message);
    if (this.#open) this.#handlers.rejected?.(error);
  }
}

function bind(server: Server, address: TcpAddress, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      reject(HotMirrorError.from(cause, cause.code === 'EADDRINUSE' ? 'HM_ADDRESS_IN_USE' : 'HM_ADDRESS', url));
    };
    server.once('error', failed);
    server.listen(address, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

interface Establishing {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  readonly description: string;
}

/** Waits until the socket is connected. */
function established(socket: Socket, { clock, signal, deadlineMs, description }: Establishing): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: HotMirrorError | null): void => {
      deadline.cancel();
      signal.removeEventListener('abort', aborted);
      socket.off('connect', connected).off('error', failed);
      if (!error) {
        resolve();
        return;
      }
      socket.destroy();
      reject(error);
    };
    const connected = (): void => {
      settle(null);
    };
    const failed = (cause: Error): void => {
      settle(HotMirrorError.from(cause, 'HM_CONNECT_FAILED', description));
    };
    const aborted = (): void => {
      settle(signal.reason as HotMirrorError);
    };
    const deadline = clock.timer(deadlineMs, () => {
      settle(new HotMirrorError('HM_CONNECT_FAILED', `${description} did not answer within ${String(deadlineMs)} ms`));
    });
    signal.addEventListener('abort', aborted);
    socket.on('connect', connected).on('error', failed);
  });
}
