import type { Clock } from '../../../src/clock/clock.ts';
import type { Connection, Receiver, Transport } from '../../../src/transport/transport.ts';

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
  const slow = (connection: Connection): Connection => new SlowConnection(connection, link);
  return {
    capabilities: transport.capabilities,
    description: transport.description,
    dial: async (signal) => slow(await transport.dial(signal)),
    listen: (handlers) => transport.listen({ ...handlers, accepted: (connection) => handlers.accepted(slow(connection)) }),
  };
}

class SlowConnection implements Connection {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string | null;
  readonly description: string;
  readonly maxFrameBytes: number;
  readonly #inner: Connection;
  readonly #link: SlowLink;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #busy = false;
  #full = false;
  #over = false;
  #receiver: Receiver | null = null;

  constructor(inner: Connection, link: SlowLink) {
    this.id = inner.id;
    this.dialled = inner.dialled;
    this.peer = inner.peer;
    this.description = inner.description;
    this.maxFrameBytes = inner.maxFrameBytes;
    this.#inner = inner;
    this.#link = link;
  }

  get pendingBytes(): number {
    return this.#queuedBytes + this.#inner.pendingBytes;
  }

  receive(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#inner.receive({
      frame: (bytes) => receiver.frame(bytes),
      batchEnd: () => receiver.batchEnd?.(),
      closed: (error) => {
        this.#over = true;
        receiver.closed(error);
      },
    });
  }

  send(parts: readonly Uint8Array[]): boolean {
    const frame = Buffer.concat(parts);
    this.#queue.push(frame);
    this.#queuedBytes += frame.byteLength;
    this.#full ||= this.#queuedBytes > this.#link.highWaterBytes;
    this.#pump();
    return !this.#full;
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  close(): Promise<void> {
    this.#over = true;
    return this.#inner.close();
  }

  destroy(error?: Parameters<Connection['destroy']>[0]): void {
    this.#over = true;
    this.#inner.destroy(error);
  }

  #pump(): void {
    if (this.#busy || this.#over) return;
    const frame = this.#queue.shift();
    if (!frame) {
      if (this.#full) this.#drained();
      return;
    }
    this.#busy = true;
    this.#link.clock().timer((frame.byteLength * 1_000) / this.#link.bytesPerSecond(), () => {
      this.#busy = false;
      this.#queuedBytes -= frame.byteLength;
      if (!this.#over) this.#inner.send([frame]);
      this.#pump();
    });
  }

  #drained(): void {
    this.#full = false;
    this.#receiver?.drain?.();
  }
}
