import { Duplex } from 'node:stream';

import type { Clock, Timer } from '../../clock/clock.ts';
import { HotMirrorError } from '../../errors.ts';
import { joined } from '../frame-bytes.ts';
import type { Exchange } from './exchange.ts';
import { encodeMessage, messageHeaderBytes } from './message.ts';
import type { LinkMessage, MessageKind } from './message.ts';

/** Bytes that either end may have under way, unread by the other end. */
export const windowBytes = 65_536;
/** Bytes taken from a stream before they are on their way, as an operating system would. */
const sendBufferBytes = 32_768;
/** The window is opened again in steps of this much. */
const windowStepBytes = windowBytes / 4;

const nothing = new Uint8Array(0);

/** What a channel is made of. */
export interface ChannelOptions {
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly peerId: number;
  readonly connection: string;
  /** This end dialled. */
  readonly dialled: boolean;
  readonly description: string;
  /** How long it goes on sending what is there once its stream was destroyed, in ms. */
  readonly lingerMs: number;
  /** Nothing of it is left. */
  readonly gone: () => void;
}

type Callback = (error?: Error | null) => void;

/**
 * One end of a connection over messages: an ordered stream of bytes, with a window so that a reader that stands still is felt by the sender.
 * Like a socket of an operating system it outlives its stream for as long as what was taken from that is on its way.
 */
export class Channel {
  readonly stream: Duplex;
  readonly peerId: number;
  readonly #options: ChannelOptions;
  readonly #buffer: Uint8Array[] = [];
  #bufferedBytes = 0;
  /** What the stream wants written and the buffer has no room for yet. */
  #waiting: { rest: Uint8Array; done: Callback } | null = null;
  #sentBytes = 0;
  #allowedBytes = 0;
  #sentNumber = 0;
  #receivedNumber = 0;
  #receivedBytes = 0;
  #readBytes = 0;
  /** What the other end was last told it may send. */
  #grantedBytes: number = windowBytes;
  #pumping = false;
  #ending: 'no' | 'wanted' | 'sent' = 'no';
  #closing = false;
  #forgotten = false;
  #peerEnded = false;
  #linger: Timer | null = null;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.peerId = options.peerId;
    this.stream = new Duplex({
      readableHighWaterMark: windowBytes,
      read: () => undefined,
      write: (chunk: Uint8Array, _encoding, done) => this.#write(chunk, done),
      final: (done) => this.#final(done),
      destroy: (error, done) => this.#destroy(error, done),
    });
    this.stream.pause();
    this.stream.on('error', () => undefined);
    this.stream.on('data', (chunk: Uint8Array) => this.#read(chunk.length));
  }

  /** Takes a message of the other end. Throws `HM_OUT_OF_SEQUENCE` or `HM_PROTOCOL`; the channel is then to be failed. */
  hear({ kind, number, payload }: LinkMessage): void {
    switch (kind) {
      case 'window':
      case 'opened':
        this.allow(number);
        break;
      case 'data':
      case 'end':
        if (this.#isNext(number)) this.#take(kind, payload);
        break;
      case 'close':
        this.#peerClosed();
        break;
      case 'open':
      case 'refused':
        break;
    }
  }

  /** The other end takes bytes up to this many since the beginning. */
  allow(bytes: number): void {
    this.#allowedBytes = Math.max(this.#allowedBytes, bytes);
    this.#pump();
  }

  /** Ends it at once, at both ends. */
  fail(error: Error): void {
    this.#letGo();
    this.stream.destroy(error);
  }

  /** A message that came twice is dropped; a gap ends the channel. */
  #isNext(number: number): boolean {
    if (number < this.#receivedNumber) return false;
    if (number > this.#receivedNumber) {
      throw new HotMirrorError(
        'HM_OUT_OF_SEQUENCE',
        `${this.#options.description}: message ${String(number)} arrived in place of ${String(this.#receivedNumber)}`,
      );
    }
    this.#receivedNumber += 1;
    return true;
  }

  #take(kind: 'data' | 'end', payload: Uint8Array): void {
    if (this.#peerEnded) return;
    if (kind === 'end') {
      this.#endReading();
      return;
    }
    this.#receivedBytes += payload.length;
    if (this.#receivedBytes > this.#grantedBytes) {
      throw new HotMirrorError('HM_PROTOCOL', `${this.#options.description}: the other end sends more than it may`);
    }
    if (this.#closing) this.#read(payload.length);
    else this.stream.push(Buffer.from(payload));
  }

  #endReading(): void {
    if (this.#peerEnded) return;
    this.#peerEnded = true;
    if (!this.stream.destroyed) this.stream.push(null);
  }

  /** The other end has let go: it reads nothing more. */
  #peerClosed(): void {
    this.#endReading();
    if (this.#forgotten) return;
    this.#stop();
    this.#options.gone();
  }

  /** What was read may be sent again. */
  #read(bytes: number): void {
    this.#readBytes += bytes;
    const grantBytes = this.#readBytes + windowBytes;
    if (this.#forgotten || this.#peerEnded || grantBytes - this.#grantedBytes < windowStepBytes) return;
    this.#grantedBytes = grantBytes;
    void this.#send('window', grantBytes, nothing);
  }

  #write(chunk: Uint8Array, done: Callback): void {
    this.#waiting = { rest: chunk, done };
    // To somebody who is gone nothing can be written; the reader is about to see the end.
    if (this.#forgotten) return;
    this.#fill();
    this.#pump();
  }

  /** Takes what the buffer has room for. */
  #fill(): void {
    const waiting = this.#waiting;
    if (!waiting || this.#forgotten) return;
    const taken = waiting.rest.subarray(0, sendBufferBytes - this.#bufferedBytes);
    if (taken.length > 0) this.#buffer.push(Uint8Array.from(taken));
    this.#bufferedBytes += taken.length;
    waiting.rest = waiting.rest.subarray(taken.length);
    if (waiting.rest.length > 0) return;
    this.#waiting = null;
    waiting.done();
  }

  #final(done: Callback): void {
    if (this.#ending === 'no') this.#ending = 'wanted';
    this.#pump();
    done();
  }

  #destroy(error: Error | null, done: Callback): void {
    this.#closing = true;
    this.#waiting = null;
    if (!this.#forgotten) {
      this.#linger = this.#options.clock.timer(this.#options.lingerMs, () => this.#letGo());
      this.#pump();
    }
    done(error);
  }

  #pump(): void {
    if (this.#pumping || this.#forgotten) return;
    this.#pumping = true;
    void this.#sendAll();
  }

  /** Sends what may be sent, one message at a time. */
  async #sendAll(): Promise<void> {
    for (let message = this.#nextMessage(); message; message = this.#nextMessage()) {
      const number = this.#sentNumber;
      this.#sentNumber += 1;
      this.#sentBytes += message.payload.length;
      await this.#send(message.kind, number, message.payload);
      this.#fill();
    }
    this.#pumping = false;
  }

  #nextMessage(): { readonly kind: 'data' | 'end'; readonly payload: Uint8Array } | null {
    if (this.#forgotten) return null;
    const payload = this.#nextPayload();
    if (payload) return { kind: 'data', payload };
    if (this.#bufferedBytes > 0) return null;
    if (this.#ending === 'wanted' && !this.#waiting) {
      this.#ending = 'sent';
      return { kind: 'end', payload: nothing };
    }
    if (this.#closing) this.#letGo();
    return null;
  }

  /** As many bytes as one message, the window and the buffer have. */
  #nextPayload(): Uint8Array | null {
    let room = Math.min(this.#options.exchange.longestMessageBytes - messageHeaderBytes, this.#allowedBytes - this.#sentBytes);
    const parts: Uint8Array[] = [];
    for (let first = this.#buffer[0]; first && room > 0; first = this.#buffer[0]) {
      const part = first.subarray(0, room);
      if (part.length === first.length) this.#buffer.shift();
      else this.#buffer[0] = first.subarray(part.length);
      parts.push(part);
      room -= part.length;
    }
    if (parts.length === 0) return null;
    const payload = joined(parts);
    this.#bufferedBytes -= payload.length;
    return payload;
  }

  /** Says the last word, where the other end still listens. */
  #letGo(): void {
    if (this.#forgotten) return;
    this.#stop();
    void this.#send('close', 0, nothing).then(this.#options.gone);
  }

  #stop(): void {
    this.#forgotten = true;
    this.#buffer.length = 0;
    this.#bufferedBytes = 0;
    this.#linger?.cancel();
  }

  async #send(kind: MessageKind, number: number, payload: Uint8Array): Promise<void> {
    const { exchange, peerId, connection, dialled } = this.#options;
    const arrived = await exchange.send(peerId, encodeMessage({ kind, fromDialler: dialled, connection, number, payload }));
    if (!arrived && !this.#forgotten) this.fail(this.#goneError());
  }

  #goneError(): HotMirrorError {
    return new HotMirrorError('HM_CONNECTION_LOST', `${this.#options.description}: the other end is gone`);
  }
}
