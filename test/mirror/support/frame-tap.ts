import type { Connection, Receiver, Transport } from '../../../src/transport/transport.ts';

/** Gives the receiver a frame, and says what came of it: it was not wanted any more, the connection goes on, or this ended it. */
export type Deliver = (frame: Uint8Array) => 'unwanted' | 'goes on' | 'ended';

/** What becomes of a frame on its way in. */
export type Tamper = (frame: Uint8Array, deliver: Deliver, connection: Connection) => void;

/** A transport that hands out a copy of each frame that arrives here, before its receiver gets it. */
export function tapFrames(transport: Transport, tap: (frame: Uint8Array, connection: Connection) => void): Transport {
  return tamperFrames(transport, (frame, deliver, connection) => {
    tap(frame.slice(), connection);
    deliver(frame);
  });
}

/** A transport whose frames arrive as `tamper` says: as of a peer that has proven itself and then says what no peer would. */
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
  #over = false;

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
    const isOver = (): boolean => this.#over;
    const deliver: Deliver = (frame) => {
      if (isOver()) return 'unwanted';
      receiver.frame(frame);
      return isOver() ? 'ended' : 'goes on';
    };
    this.#inner.receive({
      frame: (bytes) => {
        this.#tamper(bytes, deliver, this);
      },
      batchEnd: () => {
        if (!this.#over) receiver.batchEnd?.();
      },
      drain: () => receiver.drain?.(),
      closed: (error) => {
        this.#over = true;
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
    this.#over = true;
    return this.#inner.close();
  }

  destroy(error?: Parameters<Connection['destroy']>[0]): void {
    this.#over = true;
    this.#inner.destroy(error);
  }
}
