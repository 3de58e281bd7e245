import { Socket } from 'node:net';

import { expect } from 'chai';

import { PacedWriter } from '../../src/net-disk/paced-writer.ts';

/** A socket that takes what it is given when the test says so. */
class SlowSocket extends Socket {
  readonly given: Buffer[] = [];
  #taken: (() => void) | null = null;

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.given.push(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    this.#taken = done;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this._writev([{ chunk }], done);
  }

  async accept(): Promise<void> {
    this.#taken?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('What is sent over TLS', () => {
  it('is given to the socket in pieces, in order, each once the one before has left, and said to have left when all has', async () => {
    const socket = new SlowSocket();
    let drained = 0;
    const writer = new PacedWriter(socket, () => (drained += 1));
    const parts = [100, 300_000, 1, 700_000, 5].map((lengthBytes, index) => new Uint8Array(lengthBytes).fill(index + 1));
    writer.send(parts.slice(0, 3));
    writer.send(parts.slice(3));
    for (let count = 1; !writer.idle; count += 1) {
      expect([socket.given.length, drained]).to.deep.equal([count, 0]);
      await socket.accept();
    }
    expect(drained).to.equal(1);
    expect(socket.given.map(({ byteLength }) => byteLength)).to.deep.equal([262_144, 262_144, 262_144, 213_674]);
    expect(Buffer.concat(socket.given).equals(Buffer.concat(parts))).to.equal(true);
    writer.send([parts[0]!]);
    await socket.accept();
    expect([writer.idle, drained, socket.given.length]).to.deep.equal([true, 2, 5]);
    socket.destroy();
  });
});
