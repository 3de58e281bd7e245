import type { Connection, Receiver, Transport } from '../../../src/transport/transport.ts';

/** What may be done to a frame on its way in: it arrives as these, in this order. */
export type Tamper = (frame: Uint8Array, connection: Connection) => readonly Uint8Array[];

/** A transport that hands out a copy of each frame that arrives here, before its receiver gets it. */
export function tapFrames(transport: Transport, tap: (frame: Uint8Array, connection: Connection) => void): Transport {
  return tamperFrames(transport, (frame, connection) => {
    tap(frame.slice(), connection);
    return [frame];
  });
}

/** A transport whose frames arrive as `tamper` says: for a peer that has proven itself and then says what no peer would. */
export function tamperFrames(transport: Transport, tamper: Tamper): Transport {
  const tampered = (connection: Connection): Connection => new TamperedConnection(connection, tamper);
  return {
    capabilities: transport.capabilities,
    description: transport.description,
    dial: async (signal) => tampered(await transport.dial(signal)),
    listen: (handlers) => transport.listen({ ...handlers, accepted: (connection) => handlers.accepted(tampered(connection)) }),
  };
}

class TamperedConnection implements Connection {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string | null;
  readonly description: string;
  readonly maxFrameBytes: number;
  readonly #inner: Connection;
  readonly #tamper: Tamper;

  constructor(inner: Connection, tamper: Tamper) {
    this.id = inner.id;
    this.dialled = inner.dialled;
    this.peer = inner.peer;
    this.description = inner.description;
    this.maxFrameBytes = inner.maxFrameBytes;
    this.#inner = inner;
    this.#tamper = tamper;
  }

  get pendingBytes(): number {
    return this.#inner.pendingBytes;
  }

  receive(receiver: Receiver): void {
    this.#inner.receive({
      frame: (bytes) => {
        for (const frame of this.#tamper(bytes, this)) receiver.frame(frame);
      },
      batchEnd: () => receiver.batchEnd?.(),
      drain: () => receiver.drain?.(),
      closed: (error) => {
        receiver.closed(error);
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

  destroy(error?: Parameters<Connection['destroy']>[0]): void {
    this.#inner.destroy(error);
  }
}
