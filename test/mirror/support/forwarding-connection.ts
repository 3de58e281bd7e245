import type { Connection, Receiver, Transport } from '../../../src/transport/transport.ts';

/** A connection that hands everything on to another one, to be made different in what a test is about. */
export class ForwardingConnection implements Connection {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string | null;
  readonly description: string;
  readonly maxFrameBytes: number;
  protected readonly inner: Connection;
  protected over = false;

  constructor(inner: Connection) {
    this.id = inner.id;
    this.dialled = inner.dialled;
    this.peer = inner.peer;
    this.description = inner.description;
    this.maxFrameBytes = inner.maxFrameBytes;
    this.inner = inner;
  }

  get pendingBytes(): number {
    return this.inner.pendingBytes;
  }

  receive(receiver: Receiver): void {
    this.inner.receive({
      frame: (bytes) => this.arrived(bytes, receiver),
      batchEnd: () => {
        if (!this.over) receiver.batchEnd?.();
      },
      drain: () => receiver.drain?.(),
      closed: (error) => {
        this.over = true;
        receiver.closed(error);
      },
    });
  }

  protected arrived(frame: Uint8Array, receiver: Receiver): void {
    receiver.frame(frame);
  }

  send(parts: readonly Uint8Array[]): boolean {
    return this.inner.send(parts);
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }

  close(): Promise<void> {
    this.over = true;
    return this.inner.close();
  }

  destroy(error?: Parameters<Connection['destroy']>[0]): void {
    this.over = true;
    this.inner.destroy(error);
  }
}

/** A transport whose connections are made different, whoever dials. */
export function withConnections(transport: Transport, different: (connection: Connection) => Connection): Transport {
  return {
    capabilities: transport.capabilities,
    description: transport.description,
    dial: async (signal) => different(await transport.dial(signal)),
    listen: (handlers) => transport.listen({ ...handlers, accepted: (connection) => handlers.accepted(different(connection)) }),
  };
}
