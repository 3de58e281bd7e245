import type { Clock, Timer } from '../clock/clock.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { Connection } from '../transport/transport.ts';
import type { DataLinkFeature } from './features.ts';
import {
  decodeFrameHeader,
  decodeMessages,
  encodeFrameHeader,
  encodeMessageHeader,
  frameEpoch,
  frameHeaderBytes,
  malformed,
  maxBodyBytes,
  messageHeaderBytes,
  ownerField,
} from './wire.ts';
import type { Message, MessageName } from './wire.ts';

/** What a data connection tells its user. */
export interface DataConnectionHandlers {
  /** All messages of one frame, before the first of them is handed over. Throwing a `HotMirrorError` ends the connection with it. */
  arrived(messages: readonly Message[]): void;
  /** One message; its body is valid during the call. Throwing a `HotMirrorError` ends the connection with it. */
  message(message: Message): void;
  /** All messages that arrived together are delivered. */
  batchEnd(): void;
  /** The peer answered a probe that was sent then (rule serve.lease). */
  probed(probeSentMs: number): void;
  /** A probe of the peer, or its answer to one: a sign of life (rule watch.all). What it may take for proof of ours must count here too. */
  heard(): void;
  /** The epoch of a frame, before its messages. Returns whether they may be looked at (rule lineage.epoch). */
  epoch(theirs: Epoch): boolean;
  /** There is room to send again. */
  drain(): void;
  /** A probe is due, the connection is alive; `late` after a pause of this node. */
  tick(late: boolean): void;
  /** It has ended; called once. */
  closed(error: HotMirrorError | null): void;
}

/** What a data connection is made of. */
export interface DataConnectionOptions {
  readonly connection: Connection;
  readonly node: string;
  readonly peer: string;
  readonly clock: Clock;
  readonly probeIntervalMs: number;
  readonly deadlineMs: number;
  /** The epoch that frames carry: what this node knows now. */
  readonly epoch: () => Epoch;
  readonly handlers: DataConnectionHandlers;
}

/** Probes whose answers still count. */
const rememberedProbes = 16;

/** So much leaves without waiting for the end of the turn: the peer works on it meanwhile. */
const gatheredBytes = 64 * 2 ** 10;

/** Frames must have room for the largest message. */
const minFrameBytes = frameHeaderBytes + messageHeaderBytes + maxBodyBytes;

/**
 * One connection of the data link, as messages: it joins what is sent in one turn into frames, stamps and checks epoch and connection id,
 * probes the peer, and ends the connection when the peer is silent beyond the deadline.
 */
export class DataConnection {
  readonly id: string;
  /** What both ends can do, once their handshake has found out. */
  features: ReadonlySet<DataLinkFeature> = new Set();
  readonly #options: DataConnectionOptions;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #sendDue = false;
  #ended = false;
  #writable = true;
  #held = false;
  #probe: Timer | null = null;
  #probes = 0;
  /** When the last few probes were sent, by number: each answer counts once. */
  readonly #probesSent = new Map<number, number>();
  /** Who waits for the answer to a probe that is sent after this moment, or for the end. */
  #proofs: { readonly sinceMs: number; readonly resolve: (answered: boolean) => void }[] = [];
  #heardMs: number;
  #tickMs: number;

  constructor(options: DataConnectionOptions) {
    this.#options = options;
    this.id = options.connection.id;
    this.#heardMs = options.clock.nowMs();
    this.#tickMs = this.#heardMs;
    if (options.connection.maxFrameBytes < minFrameBytes) {
      throw new RangeError(`a data link needs frames of at least ${String(minFrameBytes)} bytes`);
    }
  }

  /** Begins to receive and to probe. */
  start(): void {
    const { connection, handlers } = this.#options;
    connection.receive({
      frame: (bytes) => {
        this.#receive(bytes);
      },
      batchEnd: () => {
        if (!this.#ended) handlers.batchEnd();
      },
      drain: () => {
        this.#writable = true;
        if (!this.#ended) handlers.drain();
      },
      closed: (error) => {
        this.#finish(error);
      },
    });
    this.#sendProbe();
    this.#schedule();
  }

  /** Resolves true when the peer has answered a probe sent from now on, false when the connection ends first. */
  proof(): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#proofs.push({ sinceMs: this.#options.clock.nowMs(), resolve });
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** When the last frame arrived. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** False while more is pending than the connection likes: send no bulk data until `drain`. */
  get writable(): boolean {
    return this.#writable;
  }

  /** Takes nothing more from the peer for a while: what it sends waits at its end, and its silence does not count meanwhile. */
  hold(held: boolean): void {
    if (this.#ended || held === this.#held) return;
    this.#held = held;
    this.#heardMs = this.#options.clock.nowMs();
    if (held) this.#options.connection.pause();
    else this.#options.connection.resume();
  }

  /** Sends one message; what is sent in one turn travels together. The body must not change until it is acknowledged. */
  send(name: MessageName, a = 0, b = 0, body?: Uint8Array): void {
    if (this.#ended) return;
    const bodyBytes = body?.byteLength ?? 0;
    const bytes = messageHeaderBytes + bodyBytes;
    if (this.#partBytes + bytes > this.#options.connection.maxFrameBytes) this.flush();
    if (this.#parts.length === 0) this.#partBytes = frameHeaderBytes;
    this.#parts.push(encodeMessageHeader(name, a, b, bodyBytes));
    if (body && bodyBytes > 0) this.#parts.push(body);
    this.#partBytes += bytes;
    // The first of a turn, and what is much, is not kept for those that may follow: the peer works on it while this node goes on.
    if (!this.#sendDue || this.#partBytes >= gatheredBytes) this.flush();
    if (this.#sendDue) return;
    this.#sendDue = true;
    queueMicrotask(() => {
      this.#sendDue = false;
      this.flush();
    });
  }

  /** Sends a message whose body is plain data. */
  sendJson(name: MessageName, value: unknown): void {
    this.send(name, 0, 0, Buffer.from(JSON.stringify(value), 'utf8'));
  }

  /** Sends what waits, now. */
  flush(): void {
    if (this.#ended || this.#parts.length === 0) return;
    const { connection, node, epoch } = this.#options;
    const now = epoch();
    const header = encodeFrameHeader({ epochNumber: now.number, owner: ownerField(now, node), connectionId: this.id });
    const parts = [header, ...this.#parts];
    this.#parts = [];
    this.#partBytes = 0;
    if (!connection.send(parts)) this.#writable = false;
  }

  /** Says why, then ends the connection in order. */
  refuse(error: HotMirrorError): void {
    if (this.#ended) return;
    this.sendJson('refuse', error);
    this.flush();
    void this.#options.connection.close();
    this.#finish(error);
  }

  /** Sends what waits and ends the connection in order. */
  close(): Promise<void> {
    this.flush();
    const closed = this.#options.connection.close();
    this.#finish(null);
    return closed;
  }

  /** Ends the connection at once. */
  destroy(error?: HotMirrorError): void {
    this.#options.connection.destroy(error);
    this.#finish(error ?? null);
  }

  #receive(bytes: Uint8Array): void {
    if (this.#ended) return;
    try {
      this.#accept(bytes);
    } catch (cause) {
      this.refuse(HotMirrorError.from(cause, 'HM_PROTOCOL', 'a message could not be handled'));
    }
  }

  #accept(bytes: Uint8Array): void {
    const { node, peer, handlers } = this.#options;
    const header = decodeFrameHeader(bytes);
    if (header.connectionId !== this.id) throw malformed('a frame belongs to another connection');
    const messages = decodeMessages(bytes);
    this.#heardMs = this.#options.clock.nowMs();
    if (!handlers.epoch(frameEpoch(header, peer, node))) return;
    handlers.arrived(messages);
    for (const message of messages) {
      if (this.#ended) return;
      this.#dispatch(message);
    }
  }

  #dispatch(message: Message): void {
    if (message.name === 'ping') {
      this.#options.handlers.heard();
      this.send('pong', message.a);
    } else if (message.name === 'pong') {
      const sentMs = this.#probesSent.get(message.a);
      if (this.#probesSent.delete(message.a) && sentMs !== undefined) {
        this.#options.handlers.heard();
        this.#options.handlers.probed(sentMs);
        this.#prove(sentMs);
      }
    } else {
      this.#options.handlers.message(message);
    }
  }

  #prove(sentMs: number): void {
    const waiting = this.#proofs;
    if (waiting.length === 0) return;
    this.#proofs = waiting.filter(({ sinceMs }) => sentMs < sinceMs);
    for (const { sinceMs, resolve } of waiting) if (sentMs >= sinceMs) resolve(true);
  }

  #sendProbe(): void {
    this.#probes += 1;
    this.#probesSent.set(this.#probes, this.#options.clock.nowMs());
    this.#probesSent.delete(this.#probes - rememberedProbes);
    this.send('ping', this.#probes);
    this.flush();
  }

  #schedule(): void {
    const { clock, probeIntervalMs } = this.#options;
    this.#tickMs = clock.nowMs();
    this.#probe = clock.timer(probeIntervalMs, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    const { clock, probeIntervalMs, deadlineMs } = this.#options;
    // Late: this node stood still, and what the peer sent meanwhile waits in the socket (rule watch.pause).
    const late = clock.nowMs() - this.#tickMs > 2 * probeIntervalMs;
    if (late) {
      await clock.drain();
      this.#heardMs = clock.nowMs();
    }
    if (this.#ended) return;
    const silentMs = clock.nowMs() - this.#heardMs;
    if (silentMs > deadlineMs && !this.#held) {
      this.destroy(new HotMirrorError('HM_CONNECTION_LOST', `the data link was silent for ${String(Math.round(silentMs))} ms`));
      return;
    }
    this.#options.handlers.tick(late);
    if (this.ended) return;
    this.#sendProbe();
    this.#schedule();
  }

  #finish(error: HotMirrorError | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#parts = [];
    this.#probe?.cancel();
    for (const { resolve } of this.#proofs) resolve(false);
    this.#proofs = [];
    this.#options.handlers.closed(error);
  }
}
