import { connect } from 'node:net';
import type { Socket } from 'node:net';

import type { NetDiskAddress } from '../../../src/net-disk/net-disk-address.ts';
import { options } from '../../../src/net-disk/protocol.ts';
import { clientFlags, go, option } from './nbd-bytes.ts';
import { ServerBytes } from './nbd-replies.ts';
import type { Reply } from './nbd-replies.ts';

/** A client over a real socket that says what the test says. */
export class NbdClient {
  readonly socket: Socket;
  readonly received: ServerBytes = new ServerBytes();
  /** The server has ended the connection. */
  ended = false;
  #changed: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Uint8Array) => {
      this.received.add(bytes);
      this.#changed();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
      this.#changed();
    });
  }

  static connect(address: NetDiskAddress): NbdClient {
    return new NbdClient(connect(address));
  }

  /** One that uses this export already. */
  static async using(address: NetDiskAddress, name: string): Promise<NbdClient> {
    const client = NbdClient.connect(address);
    client.socket.write(clientFlags);
    client.socket.write(option(options.structuredReply));
    await client.has(18 + 20);
    client.received.take(38);
    client.socket.write(go(name));
    await client.has(20 + 12 + 20 + 14 + 20);
    client.received.options();
    return client;
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Resolves once so many bytes are there; rejects when the server ends first. */
  async has(lengthBytes: number): Promise<void> {
    while (this.received.left < lengthBytes) {
      if (this.ended) throw new Error('the server has ended the connection');
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  /** The next reply, which takes so many bytes. */
  async reply(wholeBytes: number): Promise<Reply> {
    await this.has(wholeBytes);
    return this.received.reply();
  }

  /** Resolves when the server has ended the connection. */
  async end(): Promise<void> {
    while (!this.ended) await new Promise<void>((resolve) => (this.#changed = resolve));
  }
}
