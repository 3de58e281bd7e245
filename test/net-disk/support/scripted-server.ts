import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import { commandFlags, commands, infos, magic, optionReplies, options, sizes, transmissionFlags } from '../../../src/net-disk/protocol.ts';
import { bytesOf } from './nbd-bytes.ts';

/** A request as a server reads it. */
export interface ServerRequest {
  readonly command: number;
  readonly flags: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly payload: Uint8Array;
  /** Which connection it came by, counted from 1. */
  readonly connection: number;
  /** Answers it, once or in parts. */
  readonly reply: (error: number, data?: Uint8Array) => void;
  /** Ends the connection. */
  readonly drop: () => void;
}

const everything =
  transmissionFlags.hasFlags |
  transmissionFlags.sendFlush |
  transmissionFlags.sendFua |
  transmissionFlags.sendTrim |
  transmissionFlags.sendWriteZeroes;

/** A server with a volatile cache, which does what a test says and otherwise what it should. */
export class ScriptedServer {
  /** What it answers with, and what of that survives a crash. */
  readonly disk: Uint8Array;
  readonly durable: Uint8Array;
  /** Of the export. */
  sizeBytes: number;
  flags: number = everything;
  /** Least, preferred and most; null: it says nothing of block sizes. */
  blocks: readonly [number, number, number] | null = null;
  /** Kind of reply with which the export is refused; 0: it is not. */
  refusal = 0;
  /** Requests in the order they came: `w5@8fua` is a write of fives at byte 8. */
  readonly log: string[] = [];
  /** It ends each connection as soon as it may be used. */
  curt = false;
  /** Handles a request instead of the server where it gives true. */
  instead: (request: ServerRequest) => boolean = () => false;
  connections = 0;
  /** Connections that their clients broke off. */
  resets = 0;
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();

  private constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.disk = new Uint8Array(sizeBytes);
    this.durable = new Uint8Array(sizeBytes);
    this.#server = createServer((socket) => this.#talk(socket));
  }

  /** At a unix socket, or a free port of loopback. */
  static async listen(path: string | null, sizeBytes: number): Promise<ScriptedServer> {
    const server = new ScriptedServer(sizeBytes);
    await new Promise<void>((resolve) => server.#server.listen(path === null ? { host: '127.0.0.1', port: 0 } : { path }, resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many are connected. */
  get clients(): number {
    return this.#sockets.size;
  }

  /** Ends the connections, as a server that dies. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** Dies, and what was not durable is lost. */
  crash(): void {
    this.cut();
    this.disk.set(this.durable);
  }

  /** Ends the connections and listens no more. */
  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Does what a request asks for; gives the data of a read. */
  carryOut({ command, flags, offsetBytes, lengthBytes, payload }: Omit<ServerRequest, 'reply' | 'drop' | 'connection'>): Uint8Array {
    const end = offsetBytes + lengthBytes;
    if (command === commands.read) return this.disk.slice(offsetBytes, end);
    if (command === commands.write) this.disk.set(payload, offsetBytes);
    if (command === commands.writeZeroes) this.disk.fill(0, offsetBytes, end);
    if (command === commands.flush) this.durable.set(this.disk);
    else if ((flags & commandFlags.fua) !== 0) this.durable.set(this.disk.subarray(offsetBytes, end), offsetBytes);
    return new Uint8Array(0);
  }

  #talk(socket: Socket): void {
    this.#sockets.add(socket);
    this.connections += 1;
    const connection = this.connections;
    socket
      .on('error', ({ code }: NodeJS.ErrnoException) => (this.resets += code === 'ECONNRESET' ? 1 : 0))
      .on('close', () => this.#sockets.delete(socket));
    socket.write(bytesOf([64, magic.server], [64, magic.option], [16, 3]));
    let [bytes, haggling, flagged] = [Buffer.alloc(0), true, false];
    socket.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      for (let used = -1; used !== 0; bytes = bytes.subarray(used)) {
        if (!flagged) {
          used = bytes.length < sizes.clientFlags ? 0 : sizes.clientFlags;
          flagged = used > 0;
        } else if (haggling) {
          used = bytes.length < sizes.optionHeader ? 0 : sizes.optionHeader + bytes.readUInt32BE(12);
          if (used > bytes.length) used = 0;
          if (used > 0) haggling = !this.#agree(socket);
        } else used = this.#request(socket, bytes, connection);
      }
    });
  }

  #agree(socket: Socket): boolean {
    const reply = (kind: number, data: Uint8Array = new Uint8Array(0)): void =>
      void socket.write(bytesOf([64, magic.optionReply], [32, options.go], [32, kind], [32, data.byteLength], data));
    if (this.refusal !== 0) {
      reply(this.refusal);
      return false;
    }
    reply(optionReplies.info, bytesOf([16, infos.export], [64, this.sizeBytes], [16, this.flags]));
    if (this.blocks) reply(optionReplies.info, bytesOf([16, infos.blockSize], ...this.blocks.map((size) => [32, size] as const)));
    reply(optionReplies.ack);
    if (this.curt) socket.end();
    return true;
  }

  #request(socket: Socket, bytes: Buffer, connection: number): number {
    if (bytes.length < sizes.request) return 0;
    const [command, lengthBytes] = [bytes.readUInt16BE(6), bytes.readUInt32BE(24)];
    const used = sizes.request + (command === commands.write ? lengthBytes : 0);
    if (bytes.length < used) return 0;
    const cookie = bytes.readBigUInt64BE(8);
    const request: ServerRequest = {
      ...{ command, lengthBytes, connection, flags: bytes.readUInt16BE(4), offsetBytes: Number(bytes.readBigUInt64BE(16)) },
      payload: new Uint8Array(bytes.subarray(sizes.request, used)),
      reply: (error, data = new Uint8Array(0)) => void socket.write(bytesOf([32, magic.simpleReply], [32, error], [64, cookie], data)),
      drop: () => socket.destroy(),
    };
    this.log.push(nameOf(request));
    if (command === commands.disconnect) socket.end();
    else if (!this.instead(request)) request.reply(0, this.carryOut(request));
    return used;
  }
}

function nameOf({ command, flags, offsetBytes, payload }: ServerRequest): string {
  const letter = ['r', `w${String(payload[0])}`, 'bye', 'flush', 't', 'c', 'z'][command] ?? '?';
  if (command === commands.disconnect || command === commands.flush) return letter;
  return `${letter}@${String(offsetBytes)}${flags & commandFlags.fua ? 'fua' : ''}${flags & commandFlags.noHole ? 'solid' : ''}`;
}
