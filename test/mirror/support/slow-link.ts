import type { Clock } from '../../../src/clock/clock.ts';
import type { Connection, Receiver, Transport } from '../../../src/transport/transport.ts';
import { ForwardingConnection, withConnections } from './forwarding-connection.ts';

/** What a slow link is like. */
export interface SlowLink {
  readonly clock: () => Clock;
  /** How fast it is now; infinite where it is not to be slow yet. */
  readonly bytesPerSecond: () => number;
  /** With more than so much to be sent, a connection has no room until all of it is sent, as a socket has. */
  readonly highWaterBytes: number;
}

/** A transport that sends no faster than a link carries. */
export function slowLink(transport: Transport, link: SlowLink): Transport {
  return withConnections(transport, (connection) => new SlowConnection(connection, link));
}

class SlowConnection extends ForwardingConnection {
  readonly #link: SlowLink;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #busy = false;
  #full = false;
  #drained: () => void = () => undefined;

  constructor(inner: Connection, link: SlowLink) {
    super(inner);
    this.#link = link;
  }

  override get pendingBytes(): number {
    return this.#queuedBytes + super.pendingBytes;
  }

  override receive(receiver: Receiver): void {
    this.#drained = () => receiver.drain?.();
    super.receive(receiver);
  }

  override send(parts: readonly Uint8Array[]): boolean {
    const frame = Buffer.concat(parts);
    this.#queue.push(frame);
    this.#queuedBytes += frame.byteLength;
    this.#full ||= this.#queuedBytes > this.#link.highWaterBytes;
    this.#pump();
    return !this.#full;
  }

  #pump(): void {
    if (this.#busy || this.over) return;
    const frame = this.#queue.shift();
    if (!frame) {
      if (!this.#full) return;
      this.#full = false;
      this.#drained();
      return;
    }
    this.#busy = true;
    this.#link.clock().timer((frame.byteLength * 1_000) / this.#link.bytesPerSecond(), () => {
      this.#busy = false;
      this.#queuedBytes -= frame.byteLength;
      if (!this.over) super.send([frame]);
      this.#pump();
    });
  }
}
