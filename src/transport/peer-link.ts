import createDebug from 'debug';

import type { Clock, Timer } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import type { Connection, Listener, Receiver, Transport } from './transport.ts';

const debug = createDebug('hotmirror:transport');

/** What a `PeerLink` tells its user. None of these may throw. */
export interface PeerLinkListener {
  /**
   * There is a connection to the peer now; the previous one, if any, has told its receiver `closed`.
   * The user must call `connection.receive`, at once or soon: only so does the link learn of the end.
   */
  connected(connection: Connection): void;
  /** Something was turned away by the listener. */
  rejected?(error: HotMirrorError): void;
  /** A dial failed; it is tried again. */
  unreachable?(error: HotMirrorError): void;
}

/** How to keep a link. */
export interface PeerLinkOptions {
  readonly transport: Transport;
  /** Of two connections the one that this side dialled stays. True on exactly one of the two nodes: the home primary. */
  readonly preferOwnDial: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** Shortest wait before a dial is repeated. */
  readonly retryMinMs: number;
  /** Longest wait before a dial is repeated. */
  readonly retryMaxMs: number;
  /** Longest time that one dial may take. */
  readonly dialDeadlineMs: number;
  readonly listener: PeerLinkListener;
}

/**
 * Keeps one connection to the peer for as long as it runs: listens, dials with exponential back-off and jitter while there is none,
 * and sees to it that of two connections both ends keep the same one.
 *
 * A connection that its user found wanting (a refused handshake, silence) is given up with {@link PeerLink.redial}.
 */
export class PeerLink {
  readonly #options: PeerLinkOptions;
  #listening: Listener | null = null;
  #current: LinkConnection | null = null;
  /** A better connection, that waits until the current one has ended. */
  #successor: Connection | null = null;
  #givenUp: LinkConnection | null = null;
  #retry: Timer | null = null;
  #dial: AbortController | null = null;
  #dialled: Promise<void> = Promise.resolve();
  #failures = 0;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: PeerLinkOptions) {
    const { retryMinMs, retryMaxMs, dialDeadlineMs } = options;
    if (!(retryMinMs > 0 && retryMinMs <= retryMaxMs)) throw new RangeError('retryMinMs must be above 0 and at most retryMaxMs');
    if (!(dialDeadlineMs > 0)) throw new RangeError('dialDeadlineMs must be above 0');
    this.#options = options;
  }

  /** The connection in use, if there is one. */
  get connection(): Connection | null {
    return this.#current;
  }

  /** Resolves when this node listens; from then on it also dials. Rejects as `Transport.listen` does, and may then be called again. */
  async start(): Promise<void> {
    if (this.#state !== 'new') throw new TypeError('start() is to be called once');
    this.#state = 'running';
    const { transport, listener } = this.#options;
    try {
      this.#listening = await transport.listen({
        accepted: (connection) => {
          this.#offer(connection);
        },
        rejected: (error) => listener.rejected?.(error),
      });
    } catch (error) {
      if (!this.#stopped()) this.#state = 'new';
      throw error;
    }
    if (this.#stopped()) await this.#listening.close();
    else this.#schedule();
  }

  /** Ends listening, dialling and the connection (what is pending is sent first). Nothing is told afterwards but `closed` of that connection. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#retry?.cancel();
    this.#dial?.abort();
    const successor = this.#successor;
    this.#successor = null;
    if (successor) discard(successor);
    await Promise.all([this.#listening?.close(), this.#current?.close(), this.#dialled]);
  }

  /** Ends the current connection, if there is one, and begins anew after a back-off. */
  redial(): void {
    this.#givenUp = this.#current;
    this.#current?.destroy();
  }

  /** Dials after a while, unless there is no need. */
  #schedule(): void {
    if (this.#state !== 'running' || this.#current || this.#dial || this.#retry) return;
    this.#retry = this.#options.clock.timer(this.#backOffMs(), () => {
      this.#retry = null;
      this.#dialled = this.#dialOnce();
    });
  }

  /**
   * Exponential, with full jitter above the shortest wait. The preferred side dials at once when all was well before;
   * the other always waits, so that the two rarely dial each other at the same time.
   */
  #backOffMs(): number {
    const { preferOwnDial, random, retryMinMs, retryMaxMs } = this.#options;
    if (preferOwnDial && this.#failures === 0) return 0;
    const ceilingMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.max(1, this.#failures));
    return retryMinMs + random.fraction() * (ceilingMs - retryMinMs);
  }

  async #dialOnce(): Promise<void> {
    const { transport, clock, dialDeadlineMs, listener } = this.#options;
    const dial = new AbortController();
    const deadline = clock.timer(dialDeadlineMs, () => {
      dial.abort(new HotMirrorError('HM_CONNECT_FAILED', `${transport.description}: no answer within ${String(dialDeadlineMs)} ms`));
    });
    this.#dial = dial;
    try {
      this.#offer(await transport.dial(dial.signal));
    } catch (cause) {
      const reason: unknown = dial.signal.reason;
      const error = reason instanceof HotMirrorError ? reason : HotMirrorError.from(cause, 'HM_CONNECT_FAILED', transport.description);
      if (error.code !== 'HM_ABORTED' && !this.#stopped()) {
        this.#failures += 1;
        debug('dial failed: %s', error.message);
        listener.unreachable?.(error);
      }
    } finally {
      deadline.cancel();
      this.#dial = null;
      this.#schedule();
    }
  }

  /** An authenticated connection is there: it is used, replaces the current one, or is turned away. */
  #offer(connection: Connection): void {
    if (this.#stopped()) {
      discard(connection);
      return;
    }
    if (!this.#current) {
      this.#use(connection);
      return;
    }
    const rival = this.#successor ?? this.#current;
    if (!this.#replaces(connection, rival)) {
      debug('%s: turned away a second connection %s', connection.description, connection.id);
      discard(connection);
      return;
    }
    if (this.#successor) discard(this.#successor);
    this.#successor = connection;
    this.#current.destroy(new HotMirrorError('HM_CONNECTION_LOST', `${connection.description}: replaced by connection ${connection.id}`));
  }

  /**
   * Of two connections that were dialled at the same time the preferred side's stays. Otherwise the later one: a peer dials only while it has none,
   * so it has lost the other, and this node has not noticed yet.
   */
  #replaces(connection: Connection, rival: Connection): boolean {
    const preferred = connection.dialled === this.#options.preferOwnDial;
    const rivalPreferred = rival.dialled === this.#options.preferOwnDial;
    if (preferred !== rivalPreferred) return preferred || (!connection.dialled && this.#ageMs(rival) > this.#options.dialDeadlineMs);
    return !connection.dialled;
  }

  #ageMs(rival: Connection): number {
    return rival === this.#current ? this.#options.clock.nowMs() - this.#current.sinceMs : 0;
  }

  #use(connection: Connection): void {
    this.#retry?.cancel();
    this.#retry = null;
    if (!this.#options.preferOwnDial) this.#dial?.abort();
    const current = new LinkConnection(connection, this.#options.clock.nowMs(), () => {
      this.#ended(current);
    });
    this.#current = current;
    debug('%s: connection %s, dialled by %s', connection.description, connection.id, connection.dialled ? 'this node' : 'the peer');
    this.#options.listener.connected(current);
  }

  #ended(connection: LinkConnection): void {
    const lasted = this.#options.clock.nowMs() - connection.sinceMs > this.#options.retryMaxMs;
    if (lasted) this.#failures = 0;
    if (!lasted || connection === this.#givenUp) this.#failures += 1;
    this.#current = null;
    this.#givenUp = null;
    const successor = this.#successor;
    this.#successor = null;
    if (successor) this.#use(successor);
    else this.#schedule();
  }

  #stopped(): boolean {
    return this.#state === 'stopped';
  }
}

/** Ends a connection that nobody uses. */
function discard(connection: Connection): void {
  connection.receive({ frame: () => undefined, closed: () => undefined });
  void connection.close();
}

/** The connection as its user sees it: the same, and the link learns of its end once the user has. */
class LinkConnection implements Connection {
  readonly sinceMs: number;
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string | null;
  readonly description: string;
  readonly maxFrameBytes: number;
  readonly #inner: Connection;
  readonly #ended: () => void;

  constructor(inner: Connection, sinceMs: number, ended: () => void) {
    this.sinceMs = sinceMs;
    this.id = inner.id;
    this.dialled = inner.dialled;
    this.peer = inner.peer;
    this.description = inner.description;
    this.maxFrameBytes = inner.maxFrameBytes;
    this.#inner = inner;
    this.#ended = ended;
  }

  get pendingBytes(): number {
    return this.#inner.pendingBytes;
  }

  receive(receiver: Receiver): void {
    this.#inner.receive({
      frame: (bytes) => {
        receiver.frame(bytes);
      },
      batchEnd: () => receiver.batchEnd?.(),
      drain: () => receiver.drain?.(),
      closed: (error) => {
        receiver.closed(error);
        this.#ended();
      },
    });
  }

  send(parts: readonly Uint8Array[]): boolean {
    return this.#inner.send(parts);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  destroy(error?: HotMirrorError): void {
    this.#inner.destroy(error);
  }
}
