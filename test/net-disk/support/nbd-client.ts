import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';

import type { NetDiskAddress } from '../../../src/net-disk/net-disk-address.ts';
import { options } from '../../../src/net-disk/protocol.ts';
import { bytesOf, clientFlags, go, option } from './nbd-bytes.ts';
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
    client.send(clientFlags);
    await client.has(18);
    client.received.take(18);
    await client.use(name);
    return client;
  }

  /** One that has been let begin TLS; what it sends `behind` the wish for it goes in the clear. */
  static async securing(address: NetDiskAddress, behind: Uint8Array = new Uint8Array(0)): Promise<NbdClient> {
    const client = NbdClient.connect(address);
    client.send(bytesOf(clientFlags, option(options.starttls), behind));
    await client.has(18 + 20);
    client.received.take(38);
    return client;
  }

  /** One whose TLS is up, as far as it knows. Rejects where the server does not want it. */
  static async secured(address: NetDiskAddress, tls: ConnectionOptions, behind?: Uint8Array): Promise<NbdClient> {
    const { socket } = await NbdClient.securing(address, behind);
    socket.removeAllListeners('data');
    const secured = connectTls({ ...tls, socket });
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve);
      secured.once('error', reject);
      secured.once('close', () => reject(new Error('the server has ended the connection')));
    });
    return new NbdClient(secured);
  }

  /** Uses an export, with structured replies. */
  async use(name: string): Promise<void> {
    this.send(option(options.structuredReply));
    await this.has(20);
    this.received.take(20);
    this.send(go(name));
    await this.has(20 + 12 + 20 + 14 + 20);
    this.received.options();
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
