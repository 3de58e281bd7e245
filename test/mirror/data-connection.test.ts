import { expect } from 'chai';

import { DataConnection } from '../../src/mirror/data-connection.ts';
import type { DataConnectionHandlers } from '../../src/mirror/data-connection.ts';
import { decodeMessages } from '../../src/mirror/wire.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import type { Connection } from '../../src/transport/transport.ts';

const kibibyte = 1_024;

/** A connection that keeps what is sent, frame by frame, as the names of its messages. */
class Kept implements Connection {
  readonly id = '0123456789abcdef';
  readonly dialled = true;
  readonly peer = 'beta';
  readonly description = 'kept';
  readonly maxFrameBytes = 4_194_304;
  readonly pendingBytes = 0;
  readonly frames: string[][] = [];

  receive(): void {
    // Nothing ever comes.
  }

  send(parts: readonly Uint8Array[]): boolean {
    this.frames.push(decodeMessages(Buffer.concat(parts)).map(({ name, a }) => `${name} ${String(a)}`));
    return true;
  }

  pause(): void {
    throw new Error('nobody asks for it');
  }

  resume(): void {
    throw new Error('nobody asks for it');
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  destroy(): void {
    throw new Error('nobody asks for it');
  }
}

const unheard: DataConnectionHandlers = {
  arrived: () => undefined,
  message: () => undefined,
  batchEnd: () => undefined,
  probed: () => undefined,
  heard: () => undefined,
  epoch: () => true,
  drain: () => undefined,
  tick: () => undefined,
  closed: () => undefined,
};

describe('DataConnection', () => {
  function connected(): { readonly data: DataConnection; readonly frames: string[][] } {
    const connection = new Kept();
    const data = new DataConnection({
      ...{ connection, node: 'alpha', peer: 'beta', clock: new VirtualClock() },
      ...{ probeIntervalMs: 250, deadlineMs: 1_000, epoch: () => ({ number: 1, owner: 'alpha' }), handlers: unheard },
    });
    return { data, frames: connection.frames };
  }

  it('sends the first message of a turn at once, and what follows in the same turn together', async () => {
    const { data, frames } = connected();
    for (let sequence = 1; sequence <= 4; sequence += 1) data.send('write', sequence, 0, new Uint8Array(4 * kibibyte));
    expect(frames).to.deep.equal([['write 1']]);
    await Promise.resolve();
    expect(frames).to.deep.equal([['write 1'], ['write 2', 'write 3', 'write 4']]);
    data.send('write', 5, 0, new Uint8Array(4 * kibibyte));
    expect(frames).to.have.length(3);
  });

  it('sends what is much within the turn, in order', async () => {
    const { data, frames } = connected();
    for (let sequence = 1; sequence <= 6; sequence += 1) data.send('write', sequence, 0, new Uint8Array(32 * kibibyte));
    expect(frames).to.deep.equal([['write 1'], ['write 2', 'write 3'], ['write 4', 'write 5']]);
    await Promise.resolve();
    expect(frames.flat()).to.deep.equal([1, 2, 3, 4, 5, 6].map((sequence) => `write ${String(sequence)}`));
  });

  it('sends nothing once it has ended', async () => {
    const { data, frames } = connected();
    data.send('write', 1, 0, new Uint8Array(512));
    data.send('write', 2, 0, new Uint8Array(512));
    await data.close();
    data.send('write', 3, 0, new Uint8Array(512));
    await Promise.resolve();
    expect(frames).to.deep.equal([['write 1'], ['write 2']]);
  });
});
