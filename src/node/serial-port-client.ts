import { EventEmitter } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import { HotMirrorError } from '../errors.ts';
import type { OpenPort, OpenSerialPort } from '../transport/serial.ts';
import { receivedError } from './serial-port-messages.ts';
import type { PortNews, PortOrder, PortRequest } from './serial-port-messages.ts';

/** Writes that the operating system has yet to take; a line waits after two. */
const mostWrites = 16;

type Told = (error?: Error | null) => void;

/**
 * Opens serial ports of the main thread, where a `SerialPortHost` has the other end of `orders`. They fail with what fails there, and close with `HM_CLOSED` when that end closes.
 * A write beyond 16 that wait is refused with `HM_SEND_WINDOW`.
 */
export function threadPorts(orders: MessagePort): OpenPort {
  return (address) =>
    new Promise((resolve, reject) => {
      const { port1: own, port2: channel } = new MessageChannel();
      const port = new ThreadPort(own);
      const failed: Told = (error) => reject(error ?? hostClosed());
      port.once('close', failed);
      port.once('opened', () => {
        port.off('close', failed);
        resolve(port);
      });
      orders.postMessage({ address, channel } satisfies PortOrder, [channel]);
    });
}

/** A port that is open in the main thread. */
class ThreadPort extends EventEmitter implements OpenSerialPort {
  readonly #channel: MessagePort;
  readonly #writes: Told[] = [];
  #closed: Told = () => undefined;
  #isOver = false;

  constructor(channel: MessagePort) {
    super();
    this.#channel = channel;
    channel.on('message', (news: PortNews) => this.#heard(news));
    channel.on('close', () => this.#end(hostClosed()));
  }

  write(bytes: Uint8Array, written: Told): void {
    const refusal = this.#isOver ? hostClosed() : this.#writes.length >= mostWrites ? tooMany() : null;
    if (refusal) {
      queueMicrotask(() => written(refusal));
      return;
    }
    this.#writes.push(written);
    const own = new Uint8Array(bytes);
    this.#channel.postMessage({ kind: 'write', bytes: own } satisfies PortRequest, [own.buffer]);
  }

  close(closed: Told): void {
    if (this.#isOver) {
      queueMicrotask(closed);
      return;
    }
    this.#closed = closed;
    this.#ask({ kind: 'close' });
  }

  #heard(news: PortNews): void {
    switch (news.kind) {
      case 'opened':
        this.emit('opened');
        return;
      case 'data':
        this.emit('data', news.bytes);
        this.#ask({ kind: 'taken', bytes: news.bytes.length });
        return;
      case 'written':
        this.#writes.shift()?.(receivedError(news.error));
        return;
      case 'error':
        this.emit('error', receivedError(news.error));
        return;
      case 'closed':
        this.#end(receivedError(news.error));
    }
  }

  #end(error: Error | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#channel.close();
    for (const written of this.#writes.splice(0)) written(error ?? hostClosed());
    this.emit('close', error);
    this.#closed(error);
  }

  #ask(request: PortRequest): void {
    this.#channel.postMessage(request);
  }
}

function hostClosed(): HotMirrorError {
  return new HotMirrorError('HM_CLOSED', 'the serial port was closed');
}

function tooMany(): HotMirrorError {
  return new HotMirrorError('HM_SEND_WINDOW', 'too many writes wait for the serial port');
}
