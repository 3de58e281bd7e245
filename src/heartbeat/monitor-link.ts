import type { Clock } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import { PeerLink } from '../transport/peer-link.ts';
import type { Connection } from '../transport/transport.ts';
import { LinkWatch } from './link-watch.ts';
import type { MonitorLinkOptions, WatchTimes } from './options.ts';
import { decodeMessage, encodeMessage, nonceBytes } from './token.ts';
import type { Message } from './token.ts';
import type { LinkState } from './types.ts';

/** With more than this pending, a connection moves nothing and gets no more tokens or answers. */
const backlogBytes = 16 * 1024;
/** A dial may take this part of the deadline, so that each deadline of silence sees one that ended. */
const dialDeadlines = 0.5;
/** Longest wait between two dials, in intervals; the shortest is a quarter of it. */
const retryMaxIntervals = 0.5;
const retryMinPart = 0.25;

/** One connection of one monitor link, as those who send on it see it. */
export class Line {
  readonly name: string;
  readonly id: string;
  /** The peer's start at the other end; null until its first token. */
  run: string | null = null;
  /** The connection stands. */
  alive = true;
  readonly #connection: Connection;

  constructor(name: string, connection: Connection) {
    this.name = name;
    this.id = connection.id;
    this.#connection = connection;
  }

  /** It moves what it gets. */
  get flows(): boolean {
    return this.alive && this.#connection.pendingBytes <= backlogBytes;
  }

  /** Sends a message. Returns whether this connection could take it; false where it has ended or is made for shorter frames. */
  send(message: Message): boolean {
    const bytes = encodeMessage(message);
    if (!this.alive || bytes.length > this.#connection.maxFrameBytes) return false;
    this.#connection.send([bytes]);
    return true;
  }

  /** Ends the connection because of what arrived on it. */
  refuse(error: HotMirrorError): void {
    this.alive = false;
    this.#connection.destroy(error);
  }
}

/** What a link tells the monitor. */
export interface MonitorLinkHandlers {
  connected(link: MonitorLink, line: Line): void;
  message(link: MonitorLink, line: Line, message: Message): void;
  disconnected(link: MonitorLink): void;
  /** A frame or a connection was refused. */
  rejected(link: MonitorLink, error: HotMirrorError): void;
}

/** What a link is made of. */
export interface MonitorLinkSetup extends MonitorLinkOptions {
  readonly preferOwnDial: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly times: WatchTimes;
  readonly run: string;
  readonly handlers: MonitorLinkHandlers;
}

/** One monitor link: its connection, what is known of its silence, and the tokens on it. */
export class MonitorLink {
  readonly name: string;
  readonly watch: LinkWatch;
  /** The connection in use, if there is one. */
  line: Line | null = null;
  /** The state last reported. */
  state: LinkState = 'down';
  /** What this link refused or ignored since the start, and when it was last reported. */
  rejections: { count: number; reportedMs: number } = { count: 0, reportedMs: -Infinity };
  /** Why the link was lost, or the last dial failed. */
  lastError: string | null = null;
  readonly #setup: MonitorLinkSetup;
  readonly #peerLink: PeerLink;

  constructor(setup: MonitorLinkSetup) {
    const { clock, random, transport, preferOwnDial, times } = setup;
    this.#setup = setup;
    this.name = setup.name;
    this.watch = new LinkWatch(clock.nowMs(), setup.lateProbeMinMs);
    this.watch.learnAnew(times);
    const retryMaxMs = retryMaxIntervals * times.intervalMs;
    this.#peerLink = new PeerLink({
      transport,
      preferOwnDial,
      clock,
      random,
      retryMinMs: retryMinPart * retryMaxMs,
      retryMaxMs,
      dialDeadlineMs: dialDeadlines * times.deadlineMs,
      listener: {
        connected: (connection) => {
          this.#connected(connection);
        },
        rejected: (error) => {
          setup.handlers.rejected(this, error);
        },
        unreachable: (error) => {
          this.lastError = error.message;
          this.watch.attemptedMs = clock.nowMs();
        },
      },
    });
  }

  /** Begins to listen and dial. Rejects as `Transport.listen` does. */
  start(): Promise<void> {
    return this.#peerLink.start();
  }

  /** Ends listening, dialling and the connection. */
  stop(): Promise<void> {
    return this.#peerLink.stop();
  }

  /** All state, for simulators. */
  snapshot(): { readonly [key: string]: number | string | null } {
    const { name, state, line, rejections, watch } = this;
    return { name, state, connection: line?.id ?? null, rejected: rejections.count, ...watch.snapshot() };
  }

  /** When the next token is due; null without a connection. */
  probeDueMs(nowMs: number, times: WatchTimes): number | null {
    return this.line ? this.watch.probeDueMs(nowMs, times) : null;
  }

  /** Sends a token, unless there is no connection or it moves nothing. */
  probe(): void {
    if (!this.line?.flows) return;
    const token = this.watch.probe(this.#setup.clock.nowMs(), randomHex(this.#setup.random, nonceBytes));
    this.line.send({ kind: 'token', run: this.#setup.run, ...token });
  }

  /** Gives up a connection that stayed silent: a cut that has healed is noticed sooner by a new one. */
  redial(): void {
    if (this.line) this.#peerLink.redial();
  }

  #connected(connection: Connection): void {
    const line = new Line(this.name, connection);
    this.line = line;
    this.lastError = null;
    // Before anything is received: the first message of a connection is a token.
    this.probe();
    this.#setup.handlers.connected(this, line);
    connection.receive({
      frame: (bytes) => {
        this.#frame(line, bytes);
      },
      closed: (error) => {
        line.alive = false;
        this.line = null;
        this.lastError = error?.message ?? null;
        this.watch.disconnected();
        this.#setup.handlers.disconnected(this);
      },
    });
  }

  #frame(line: Line, bytes: Uint8Array): void {
    if (!line.alive) return;
    try {
      const message = decodeMessage(bytes);
      if (message.kind === 'token') this.#learnRun(line, message.run);
      else if (line.run === null) throw new HotMirrorError('HM_PROTOCOL', `the peer sent a ${message.kind} before its first token`);
      this.#setup.handlers.message(this, line, message);
    } catch (cause) {
      const error = HotMirrorError.from(cause, 'HM_INTERNAL', `${this.name}: a frame could not be handled`);
      line.refuse(error);
      this.#setup.handlers.rejected(this, error);
    }
  }

  /** A connection leads to one start of the peer, and not to this node itself. */
  #learnRun(line: Line, run: string): void {
    if (run === this.#setup.run) throw new HotMirrorError('HM_PROTOCOL', `the link ${this.name} leads back to this node`);
    if (line.run !== null && line.run !== run) throw new HotMirrorError('HM_PROTOCOL', 'the peer changed its start within a connection');
    line.run = run;
  }
}
