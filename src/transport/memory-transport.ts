import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { TransportLimits } from './limits.ts';
import type { MemoryConnection } from './memory-connection.ts';
import type { MemoryLink } from './memory.ts';
import type { Connection, Listener, ListenHandlers, Transport, TransportCapabilities } from './transport.ts';

/** One node's end of a link, from its start to its death. */
export class MemoryTransport implements Transport {
  readonly capabilities: TransportCapabilities;
  readonly description: string;
  readonly node: string;
  handlers: ListenHandlers | null = null;
  /** Its process is gone. */
  dead = false;
  readonly #link: MemoryLink;
  readonly #peer: string;
  readonly #clock: Clock;
  readonly #handshakeDeadlineMs: number;
  readonly #dials = new Set<Dial>();

  constructor(link: MemoryLink, node: string, peer: string, clock: Clock, limits: TransportLimits) {
    this.#link = link;
    this.node = node;
    this.#peer = peer;
    this.#clock = clock;
    this.#handshakeDeadlineMs = limits.handshakeDeadlineMs;
    this.description = `memory:${link.name}`;
    this.capabilities = { maxFrameBytes: limits.maxFrameBytes, authenticated: true, encrypted: false, bulk: true };
  }

  /** Whether a dial of this node is under way. */
  get dialling(): boolean {
    return this.#dials.size > 0;
  }

  dial(signal?: AbortSignal): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        dial.fail(new HotMirrorError('HM_ABORTED', `dialling ${this.description} was given up`, { cause: signal?.reason }));
      };
      const dial = new Dial(this.#link, this, this.#peer, {
        resolve,
        reject,
        stopped: () => {
          this.#dials.delete(dial);
          signal?.removeEventListener('abort', abort);
        },
      });
      this.#dials.add(dial);
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) abort();
      else if (!this.dead) dial.start(this.#clock, this.#handshakeDeadlineMs);
    });
  }

  listen(handlers: ListenHandlers): Promise<Listener> {
    if (this.dead) return Promise.reject(new HotMirrorError('HM_CLOSED', `${this.node} was killed`));
    if (this.handlers)
      return Promise.reject(new HotMirrorError('HM_ADDRESS_IN_USE', `${this.node} already listens at ${this.description}`));
    this.handlers = handlers;
    const close = (): Promise<void> => {
      if (this.handlers === handlers) this.handlers = null;
      return Promise.resolve();
    };
    return Promise.resolve({ address: this.description, close });
  }

  die(): void {
    this.dead = true;
    this.handlers = null;
    for (const dial of this.#dials) dial.stop();
  }
}

interface DialOutcome {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: HotMirrorError) => void;
  readonly stopped: () => void;
}

/** One attempt: there, an answer, and back. */
class Dial {
  readonly #link: MemoryLink;
  readonly #from: MemoryTransport;
  readonly #to: string;
  readonly #outcome: DialOutcome;
  #connection: MemoryConnection | null = null;
  #giveUp: (() => void) | null = null;
  #deadline: Timer | null = null;
  #settled = false;

  constructor(link: MemoryLink, from: MemoryTransport, to: string, outcome: DialOutcome) {
    this.#link = link;
    this.#from = from;
    this.#to = to;
    this.#outcome = outcome;
  }

  /** Sends the request. */
  start(clock: Clock, deadlineMs: number): void {
    this.#deadline = clock.timer(deadlineMs, () => {
      this.fail(new HotMirrorError('HM_CONNECT_FAILED', `${this.#to} did not answer at ${this.#from.description}`));
    });
    this.#giveUp = this.#link.travel(this.#from.node, () => {
      this.#arrive();
    });
    if (this.#link.duplicates(this.#from.node))
      this.#link.travel(this.#from.node, () => {
        this.#arriveAgain();
      });
  }

  fail(error: HotMirrorError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.stop();
    this.#outcome.stopped();
    this.#connection?.destroy();
    this.#outcome.reject(error);
  }

  /** The packets of this attempt go nowhere from now on. */
  stop(): void {
    this.#giveUp?.();
    this.#deadline?.cancel();
  }

  #arrive(): void {
    const listener = this.#link.answering(this.#from.node);
    if (listener) {
      const [mine, theirs] = this.#link.join(this.#from, listener);
      this.#connection = mine;
      this.#giveUp = this.#link.travel(this.#to, () => {
        this.#succeed(mine);
      });
      listener.handlers?.accepted(theirs);
    } else {
      this.#giveUp = this.#link.travel(this.#to, () => {
        this.fail(new HotMirrorError('HM_CONNECT_FAILED', `${this.#to} does not listen at ${this.#from.description}`));
      });
    }
  }

  /** The same request, as late as it may be: whoever sent it looks for one answer only. */
  #arriveAgain(): void {
    const listener = this.#link.answering(this.#from.node);
    if (listener && !this.#from.dead) listener.handlers?.accepted(this.#link.joinDuplicate(this.#from, listener));
  }

  #succeed(connection: MemoryConnection): void {
    this.#settled = true;
    this.stop();
    this.#outcome.stopped();
    this.#outcome.resolve(connection);
  }
}
