import type { Duplex } from 'node:stream';

import createDebug from 'debug';

import type { Clock, Timer } from '../../clock/clock.ts';
import { randomHex } from '../../clock/random.ts';
import type { Random } from '../../clock/random.ts';
import { within } from '../../clock/within.ts';
import { HotMirrorError } from '../../errors.ts';
import { Channel, windowBytes } from './channel.ts';
import type { Exchange, OpenExchange } from './exchange.ts';
import { decodeMessage, encodeMessage } from './message.ts';
import type { LinkMessage, MessageKind } from './message.ts';
import type { DetachReason } from './port.ts';

const debug = createDebug('hotmirror:transport');

/** Waits between two attempts of a listener to get back on the bus. */
const reattachMs = 1_000;
/** Connections at once, also those whose last bytes are on their way; more are refused. */
const mostChannels = 256;
/** Answers to messages of nobody's connection that may be under way; more are left out. */
const mostAnswers = 16;
const connectionBytes = 8;

/** What a listening host lets everybody read. */
const listeningNotice: Uint8Array = Buffer.from('hotmirror 1 listens');
const quietNotice: Uint8Array = Buffer.from('hotmirror 1');

/** What an endpoint is made of. */
export interface EndpointOptions {
  readonly open: OpenExchange;
  readonly clock: Clock;
  readonly random: Random;
  readonly description: string;
  /** How long a connection goes on sending after its stream was destroyed, in ms. */
  readonly lingerMs: number;
  /** A bus error has taken down this host. */
  readonly busError: (error: HotMirrorError) => void;
}

/** What a listening endpoint tells. */
export interface EndpointListener {
  opened(stream: Duplex): void;
  rejected(error: HotMirrorError): void;
}

/** One host's end of all its connections over one exchange. It is on the bus while somebody listens, dials or has a connection. */
export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #dials = new Map<string, (opened: boolean) => void>();
  #listener: EndpointListener | null = null;
  #exchange: Promise<Exchange> | null = null;
  /** The exchange before has been let go of. */
  #left: Promise<void> = Promise.resolve();
  #dialling = 0;
  #answers = 0;
  #reattach: Timer | null = null;

  constructor(options: EndpointOptions) {
    this.#options = options;
  }

  /** Begins to listen. Rejects with `HM_ADDRESS_IN_USE` and `HM_ADDRESS`; a bus that is not there yet is waited for. Gives what ends it. */
  async listen(listener: EndpointListener): Promise<() => void> {
    const { description } = this.#options;
    if (this.#listener) throw new HotMirrorError('HM_ADDRESS_IN_USE', `${description}: this host listens already`);
    this.#listener = listener;
    try {
      (await this.#open()).setNotice(listeningNotice);
    } catch (error) {
      if (!(error instanceof HotMirrorError && error.code === 'HM_CONNECT_FAILED')) {
        this.#listener = null;
        throw error;
      }
      debug('%s: %s', description, error.message);
      this.#attachLater();
    }
    return () => this.#stopListening(listener);
  }

  /** Opens a connection. Rejects with `HM_CONNECT_FAILED`, or the reason of the signal. */
  async dial(peerId: number, deadlineMs: number, signal: AbortSignal): Promise<Duplex> {
    const { clock, description } = this.#options;
    this.#dialling += 1;
    try {
      const limit = { deadlineMs, code: 'HM_CONNECT_FAILED', what: `dialling ${description}`, signal } as const;
      return await within(clock, limit, (givenUp) => this.#dial(peerId, givenUp));
    } finally {
      this.#dialling -= 1;
      this.#leaveIfIdle();
    }
  }

  async #dial(peerId: number, givenUp: AbortSignal): Promise<Duplex> {
    const exchange = await this.#open();
    const notice = await exchange.noticeOf(peerId);
    givenUp.throwIfAborted();
    if (!notice) throw this.#failed('nothing answers there');
    if (Buffer.compare(notice, listeningNotice) !== 0) throw this.#failed('nobody listens there');
    const connection = randomHex(this.#options.random, connectionBytes);
    const channel = this.#add(exchange, peerId, connection, true);
    const key = keyOf(peerId, connection, true);
    const opened = new Promise<boolean>((resolve) => this.#dials.set(key, resolve));
    const giveUp = (): void => channel.fail(this.#failed('given up'));
    givenUp.addEventListener('abort', giveUp, { once: true });
    try {
      void this.#tell(exchange, peerId, { kind: 'open', fromDialler: true, connection, number: windowBytes }).then((arrived) => {
        if (!arrived) this.#dials.get(key)?.(false);
      });
      if (!(await opened)) throw this.#failed('it refused');
      givenUp.throwIfAborted();
      return channel.stream;
    } catch (error) {
      channel.fail(error as Error);
      throw error;
    } finally {
      givenUp.removeEventListener('abort', giveUp);
      this.#dials.delete(key);
    }
  }

  #stopListening(listener: EndpointListener): void {
    if (this.#listener !== listener) return;
    this.#listener = null;
    this.#reattach?.cancel();
    this.#reattach = null;
    void this.#exchange?.then(
      (exchange) => exchange.setNotice(quietNotice),
      () => undefined,
    );
    this.#leaveIfIdle();
  }

  #open(): Promise<Exchange> {
    if (this.#exchange) return this.#exchange;
    const host = {
      received: (from: number, message: Uint8Array) => this.#received(from, message),
      ended: (reason: DetachReason) => this.#ended(opening, reason),
    };
    const opening: Promise<Exchange> = this.#left.then(() => this.#options.open(host));
    this.#exchange = opening;
    opening.then(
      () => this.#leaveIfIdle(),
      () => {
        if (this.#exchange === opening) this.#exchange = null;
      },
    );
    return opening;
  }

  /** Off the bus, so that another process can take the id. */
  #leaveIfIdle(): void {
    if (this.#listener || this.#dialling > 0 || this.#channels.size > 0) return;
    const exchange = this.#exchange;
    this.#exchange = null;
    if (!exchange) return;
    this.#left = exchange.then(
      (opened) => opened.close(),
      () => undefined,
    );
  }

  #ended(exchange: Promise<Exchange>, reason: DetachReason): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = null;
    const error = new HotMirrorError('HM_CONNECTION_LOST', `${this.#options.description}: ${reasons[reason]}`);
    for (const channel of [...this.#channels.values()]) channel.fail(error);
    for (const settle of this.#dials.values()) settle(false);
    if (reason === 'bus-error') this.#options.busError(error);
    if (this.#listener) this.#attachLater();
  }

  #attachLater(): void {
    this.#reattach?.cancel();
    this.#reattach = this.#options.clock.timer(reattachMs, () => {
      this.#reattach = null;
      this.#open().then(
        (exchange) => {
          if (this.#listener) exchange.setNotice(listeningNotice);
        },
        (error: unknown) => {
          debug('%s: %s', this.#options.description, String(error));
          if (this.#listener) this.#attachLater();
        },
      );
    });
  }

  #received(from: number, bytes: Uint8Array): void {
    let message: LinkMessage;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      this.#damaged(from, HotMirrorError.from(error, 'HM_PROTOCOL', this.#options.description));
      return;
    }
    const { kind, connection, fromDialler } = message;
    const key = keyOf(from, connection, !fromDialler);
    const channel = this.#channels.get(key);
    if (channel) this.#hear(key, channel, message);
    else if (kind === 'open') this.#opened(from, message);
    else if (kind === 'data' || kind === 'end' || kind === 'window' || kind === 'opened') this.#answer(from, message, 'close');
  }

  #hear(key: string, channel: Channel, message: LinkMessage): void {
    try {
      channel.hear(message);
    } catch (error) {
      channel.fail(error as Error);
      return;
    }
    if (message.kind === 'opened') this.#dials.get(key)?.(true);
    if (message.kind === 'refused' || message.kind === 'close') this.#dials.get(key)?.(false);
  }

  #opened(from: number, message: LinkMessage): void {
    const { connection, number } = message;
    const exchange = this.#exchange;
    if (!this.#listener || !exchange || this.#channels.size >= mostChannels) {
      this.#answer(from, message, 'refused');
      return;
    }
    const listener = this.#listener;
    void exchange.then(async (opened) => {
      // The same may have been asked for twice in one turn, and others meanwhile.
      if (this.#channels.has(keyOf(from, connection, false))) return;
      if (this.#channels.size >= mostChannels) {
        this.#answer(from, message, 'refused');
        return;
      }
      const channel = this.#add(opened, from, connection, false);
      const answer = { kind: 'opened', fromDialler: false, connection, number: windowBytes } as const;
      if (!(await this.#tell(opened, from, answer))) channel.fail(this.#failed('the dialler is gone'));
      channel.allow(number);
      listener.opened(channel.stream);
    });
  }

  /** What a message belonged to cannot be known any more, so nothing of its sender can be relied on. */
  #damaged(from: number, error: HotMirrorError): void {
    debug('%s: from id %d: %s', this.#options.description, from, error.message);
    for (const channel of [...this.#channels.values()]) if (channel.peerId === from) channel.fail(error);
    this.#listener?.rejected(error);
  }

  #add(exchange: Exchange, peerId: number, connection: string, dialled: boolean): Channel {
    const { clock, description, lingerMs } = this.#options;
    const key = keyOf(peerId, connection, dialled);
    const gone = (): void => {
      this.#channels.delete(key);
      this.#leaveIfIdle();
    };
    const channel = new Channel({ exchange, clock, peerId, connection, dialled, description, lingerMs, gone });
    this.#channels.set(key, channel);
    return channel;
  }

  /** An answer about a connection that this end does not have. */
  #answer(to: number, { connection, fromDialler }: LinkMessage, kind: MessageKind): void {
    if (this.#answers >= mostAnswers || !this.#exchange) return;
    this.#answers += 1;
    void this.#exchange
      .then((exchange) => this.#tell(exchange, to, { kind, fromDialler: !fromDialler, connection, number: 0 }))
      .finally(() => (this.#answers -= 1));
  }

  #tell(exchange: Exchange, to: number, message: Omit<LinkMessage, 'payload'>): Promise<boolean> {
    return exchange.send(to, encodeMessage({ ...message, payload: new Uint8Array(0) }));
  }

  #failed(why: string): HotMirrorError {
    return new HotMirrorError('HM_CONNECT_FAILED', `${this.#options.description}: ${why}`);
  }
}

const reasons: Readonly<Record<DetachReason, string>> = {
  left: 'this host has left the bus',
  'bus-error': 'a SCSI bus error: every host on the bus goes down with it',
  removed: 'this host was unplugged from the bus',
  lost: 'the bus cannot be reached any more',
};

function keyOf(peerId: number, connection: string, dialledHere: boolean): string {
  return `${String(peerId)} ${connection} ${dialledHere ? 'ours' : 'theirs'}`;
}
