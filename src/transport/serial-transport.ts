import { sleep } from '../clock/clock.ts';
import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import { sharedKeyBytes } from './authentication.ts';
import { dialAttempt } from './dial-attempt.ts';
import { DeflatedFrames } from './deflated-frames.ts';
import type { TransportLimits } from './limits.ts';
import { farewellMs } from './serial-line.ts';
import type { SerialCounters, SerialLine } from './serial-line.ts';
import { serialLimits } from './serial-limits.ts';
import type { OpenPort } from './serial-port.ts';
import type { SerialStream } from './serial-stream.ts';
import { formatSerialUrl, parseSerialUrl } from './serial-url.ts';
import { StreamConnection } from './stream-connection.ts';
import { authenticate } from './stream-handshake.ts';
import { StreamReader } from './stream-reader.ts';
import type { Connection, Listener, ListenHandlers, Transport, TransportCapabilities } from './transport.ts';

/** How long a device that somebody has is left alone before it is tried again. */
const lockedRetryMs = 500;

/** A link over a serial line. */
export interface SerialTransportOptions {
  /** This node's end of the line, such as `serial:/dev/ttyS0?baudRate=115200`; with `&rtscts=true` where RTS and CTS are wired. */
  readonly device: string;
  /** The pair's name; both nodes must say the same. */
  readonly pair: string;
  readonly node: string;
  readonly peer: string;
  /** The link and its use, such as `monitor:line`; both nodes must say the same. */
  readonly purpose: string;
  /** The key that both nodes share, 32 bytes. Frames are always encrypted. */
  readonly key: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  /** What differs from what suits the baud rate: see `serialTransport`. */
  readonly limits?: Partial<TransportLimits>;
  /** Called whenever bytes of the peer come. */
  readonly onBytes?: () => void;
  /** Opens the port. Default: by the optional package `serialport`. */
  readonly openPort?: OpenPort;
}

/** A transport over a serial line. */
export interface SerialTransport extends Transport {
  /** What the line has seen; noise that grows tells of a bad cable, or of another baud rate at the other end. */
  readonly counters: SerialCounters;
}

/** The transport of a line; several may share one. */
export class LineTransport implements SerialTransport {
  readonly capabilities: TransportCapabilities;
  readonly description: string;
  readonly #line: SerialLine;
  readonly #options: SerialTransportOptions;
  readonly #limits: TransportLimits;
  readonly #key: Uint8Array;

  constructor(line: SerialLine, options: SerialTransportOptions) {
    const { key, device } = options;
    if (key.length !== sharedKeyBytes) throw new RangeError(`key must hold ${String(sharedKeyBytes)} bytes`);
    const address = parseSerialUrl(device);
    this.#line = line;
    this.#options = options;
    this.#key = Uint8Array.from(key);
    this.#limits = serialLimits(address.baudRate, options.limits);
    this.description = formatSerialUrl(address);
    this.capabilities = { maxFrameBytes: this.#limits.maxFrameBytes, authenticated: true, encrypted: true, bulk: false };
  }

  get counters(): SerialCounters {
    return this.#line.counters;
  }

  dial(signal?: AbortSignal): Promise<Connection> {
    return dialAttempt(this.description, signal, async (attempt) => {
      const beganMs = this.#options.clock.nowMs();
      const stream = await this.#open(attempt);
      const leftMs = this.#limits.handshakeDeadlineMs - (this.#options.clock.nowMs() - beganMs);
      return await this.#authenticated('dialler', stream, leftMs, attempt);
    });
  }

  async listen(handlers: ListenHandlers): Promise<Listener> {
    const line = this.#line;
    if (line.isListening) throw new HotMirrorError('HM_ADDRESS_IN_USE', `${this.description} is listened to already`);
    const { handshakeDeadlineMs, unauthenticatedConnections } = this.#limits;
    const listener = new LineListener(line, this.description, handlers, unauthenticatedConnections, (stream, signal) =>
      this.#authenticated('listener', stream, handshakeDeadlineMs, signal),
    );
    await this.#listen(listener);
    return listener;
  }

  /** The line of before, of this process, may have the device for a moment after it was left. */
  async #listen(listener: LineListener): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.nowMs() + farewellMs + lockedRetryMs;
    for (;;) {
      const cause: unknown = await this.#line.listen(listener.admit).catch((error: unknown) => error);
      if (cause === undefined) return;
      if (!isLocked(cause)) throw HotMirrorError.from(cause, 'HM_ADDRESS', this.description);
      if (clock.nowMs() >= untilMs) throw HotMirrorError.from(cause, 'HM_ADDRESS_IN_USE', this.description);
      await sleep(clock, lockedRetryMs);
    }
  }

  /** Opens a stream and waits until the other end has answered. */
  #open(signal: AbortSignal): Promise<SerialStream> {
    const line = this.#line;
    const { clock } = this.#options;
    const { handshakeDeadlineMs } = this.#limits;
    const before = line.counters;
    return new Promise((resolve, reject) => {
      let stream: SerialStream | null = null;
      let settled = false;
      const settle = (error: HotMirrorError | null): void => {
        if (settled) return;
        settled = true;
        deadline.cancel();
        signal.removeEventListener('abort', aborted);
        if (error) {
          stream?.destroy();
          reject(error);
        } else if (stream) resolve(stream);
      };
      const aborted = (): void => {
        settle(signal.reason as HotMirrorError);
      };
      const failed = (cause: unknown): void => {
        settle(HotMirrorError.from(cause, 'HM_CONNECT_FAILED', this.description));
      };
      const deadline = clock.timer(handshakeDeadlineMs, () => {
        settle(new HotMirrorError('HM_CONNECT_FAILED', `${this.description}: ${silence(before, line.counters, handshakeDeadlineMs)}`));
      });
      signal.addEventListener('abort', aborted);
      line.open().then((opened) => {
        stream = opened
          .on('error', failed)
          .on('close', failed)
          .on('open', () => {
            opened.off('close', failed);
            settle(null);
          });
        if (settled) opened.destroy();
      }, failed);
    });
  }

  async #authenticated(role: 'dialler' | 'listener', stream: SerialStream, deadlineMs: number, signal: AbortSignal): Promise<Connection> {
    const { clock, random, onBytes, pair, node, peer, purpose } = this.#options;
    const { description } = this;
    const identity = { pair, node, peer, purpose, key: this.#key, encrypt: true };
    const reader = new StreamReader(stream);
    const authenticated = await authenticate(reader, { role, identity, clock, random, deadlineMs, signal, description });
    const form = new DeflatedFrames(this.#limits.maxFrameBytes);
    return new StreamConnection(reader, authenticated, {
      dialled: role === 'dialler',
      description,
      clock,
      limits: this.#limits,
      onBytes,
      form,
    });
  }
}

/** Lets what opens connections prove itself, a bounded number at once: when it is reached, the one that takes longest is turned away for the next. */
class LineListener implements Listener {
  readonly address: string;
  readonly #line: SerialLine;
  readonly #handlers: ListenHandlers;
  readonly #mostStrangers: number;
  readonly #authenticate: (stream: SerialStream, signal: AbortSignal) => Promise<Connection>;
  readonly #strangers = new Map<SerialStream, AbortController>();
  #isOpen = true;

  constructor(
    line: SerialLine,
    address: string,
    handlers: ListenHandlers,
    mostStrangers: number,
    authenticated: (stream: SerialStream, signal: AbortSignal) => Promise<Connection>,
  ) {
    this.#line = line;
    this.address = address;
    this.#handlers = handlers;
    this.#mostStrangers = mostStrangers;
    this.#authenticate = authenticated;
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const turnAway of this.#strangers.values()) turnAway.abort(new HotMirrorError('HM_CLOSED', `${this.address} was closed`));
    await this.#line.deaf();
  }

  readonly admit = (stream: SerialStream): void => {
    if (this.#strangers.size >= this.#mostStrangers) this.#turnAwayOldest();
    const turnAway = new AbortController();
    this.#strangers.set(stream, turnAway);
    stream.on('close', () => this.#strangers.delete(stream));
    this.#authenticate(stream, turnAway.signal).then(
      (connection) => {
        this.#strangers.delete(stream);
        if (this.#isOpen) this.#handlers.accepted(connection);
        else connection.destroy();
      },
      (error: unknown) => {
        if (this.#isOpen) this.#handlers.rejected?.(HotMirrorError.from(error, 'HM_INTERNAL', this.address));
      },
    );
  };

  #turnAwayOldest(): void {
    const [oldest] = this.#strangers;
    if (!oldest) return;
    const [stream, turnAway] = oldest;
    this.#strangers.delete(stream);
    turnAway.abort(new HotMirrorError('HM_HANDSHAKE_TIMEOUT', `${this.address}: too many connections wait for authentication`));
    stream.destroy();
  }
}

/** What came in place of an answer. */
function silence(before: SerialCounters, after: SerialCounters, deadlineMs: number): string {
  const waited = `no answer within ${String(Math.round(deadlineMs))} ms`;
  const noiseBytes = after.noiseBytes - before.noiseBytes;
  if (noiseBytes === 0) return waited;
  return `${waited}, but ${String(noiseBytes)} bytes that are no packets; do both ends have the same baudRate?`;
}

/** Whether another process, or another transport of this one, has the device. */
function isLocked(cause: unknown): boolean {
  return cause instanceof Error && /lock|busy/i.test(cause.message);
}
