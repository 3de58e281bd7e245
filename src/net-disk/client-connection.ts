import { connect } from 'node:net';
import type { Socket } from 'node:net';

import type { Clock } from '../clock/clock.ts';
import { within } from '../clock/within.ts';
import { HotMirrorError } from '../errors.ts';
import { enterExport } from './client-handshake.ts';
import type { ServerExport } from './client-handshake.ts';
import type { NetDiskAddress } from './net-disk-address.ts';
import { commands, magic, sizes } from './protocol.ts';

/** A request to a server. */
export interface ClientRequest {
  readonly command: number;
  readonly flags: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** What a write carries. */
  readonly payload: Uint8Array | null;
  /** Where what is read goes. */
  readonly into: Uint8Array | null;
  /** Called once, with the server's error, 0 for none; never where the connection ends first. */
  readonly answered: (error: number) => void;
}

/** What is needed to reach a server. */
export interface ClientOptions {
  readonly address: NetDiskAddress;
  readonly name: string;
  readonly clock: Clock;
  /** Connection and handshake together. */
  readonly connectDeadlineMs: number;
}

const twoTo32 = 2 ** 32;
const noBytes = new Uint8Array(0);

/** One connection to a server, over which an export is used. */
export class ClientConnection {
  readonly exported: ServerExport;
  readonly #socket: Socket;
  readonly #pending: Map<number, ClientRequest> = new Map();
  readonly #header: Uint8Array = new Uint8Array(sizes.simpleReply);
  readonly #view: DataView = new DataView(this.#header.buffer);
  #headerBytes = 0;
  /** The read whose data is coming, and how much of it has. */
  #reading: { readonly request: ClientRequest; at: number } | null = null;
  #nextCookie = 1;
  #lost: ((error: HotMirrorError) => void) | null = null;
  #over = false;
  /** When something last came; how long nothing did says whether the server still lives. */
  heardMs: number;
  readonly #clock: Clock;

  private constructor(socket: Socket, exported: ServerExport, clock: Clock) {
    this.#socket = socket;
    this.exported = exported;
    this.#clock = clock;
    this.heardMs = clock.nowMs();
    socket.on('data', (bytes: Uint8Array) => this.#arrived(bytes));
    socket.on('close', () => this.#end(new HotMirrorError('HM_CONNECTION_LOST', 'the net disk server is gone')));
    socket.resume();
  }

  /** Connects and agrees. Rejects with `HM_CONNECT_FAILED`, or as the handshake does. */
  static async open({ address, name, clock, connectDeadlineMs }: ClientOptions): Promise<ClientConnection> {
    const socket = connect(address);
    socket.setNoDelay(true);
    const limit = { deadlineMs: connectDeadlineMs, code: 'HM_CONNECT_FAILED', what: 'the connection to the net disk server' } as const;
    const take = reader(socket);
    try {
      const exported = await within(clock, limit, () => enterExport(take, (bytes) => void socket.write(bytes), name));
      socket.removeAllListeners('data').removeAllListeners('close').pause();
      return new ClientConnection(socket, exported, clock);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Requests without an answer. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Who hears that it is lost, or was ended for what it sent. */
  onLost(lost: (error: HotMirrorError) => void): void {
    this.#lost = lost;
    if (this.#over) lost(new HotMirrorError('HM_CONNECTION_LOST', 'the net disk server is gone'));
  }

  request(request: ClientRequest): void {
    if (this.#over) return;
    const cookie = this.#nextCookie;
    this.#nextCookie = (this.#nextCookie + 1) % twoTo32;
    this.#pending.set(cookie, request);
    const header = new Uint8Array(sizes.request);
    const view = new DataView(header.buffer);
    view.setUint32(0, magic.request);
    view.setUint16(4, request.flags);
    view.setUint16(6, request.command);
    view.setUint32(12, cookie);
    view.setBigUint64(16, BigInt(request.offsetBytes));
    view.setUint32(24, request.lengthBytes);
    if (this.#pending.size === 1) this.heardMs = this.#clock.nowMs();
    this.#socket.cork();
    this.#socket.write(header);
    if (request.payload) this.#socket.write(request.payload);
    process.nextTick(() => this.#socket.uncork());
  }

  /** Ends it: the server is told. */
  close(): void {
    this.request({
      command: commands.disconnect,
      flags: 0,
      offsetBytes: 0,
      lengthBytes: 0,
      payload: null,
      into: null,
      answered: () => undefined,
    });
    this.#lost = null;
    this.#socket.end();
  }

  destroy(error: HotMirrorError): void {
    this.#end(error);
  }

  #arrived(bytes: Uint8Array): void {
    this.heardMs = this.#clock.nowMs();
    let left = bytes;
    while (left.byteLength > 0 && !this.#over) left = this.#reading ? this.#fill(this.#reading, left) : this.#readHeader(left);
  }

  #fill(reading: { readonly request: ClientRequest; at: number }, bytes: Uint8Array): Uint8Array {
    const into = reading.request.into ?? noBytes;
    const takenBytes = Math.min(into.byteLength - reading.at, bytes.byteLength);
    into.set(bytes.subarray(0, takenBytes), reading.at);
    reading.at += takenBytes;
    if (reading.at === into.byteLength) {
      this.#reading = null;
      reading.request.answered(0);
    }
    return bytes.subarray(takenBytes);
  }

  #readHeader(bytes: Uint8Array): Uint8Array {
    const takenBytes = Math.min(sizes.simpleReply - this.#headerBytes, bytes.byteLength);
    this.#header.set(bytes.subarray(0, takenBytes), this.#headerBytes);
    this.#headerBytes += takenBytes;
    if (this.#headerBytes === sizes.simpleReply) {
      this.#headerBytes = 0;
      this.#answer();
    }
    return bytes.subarray(takenBytes);
  }

  #answer(): void {
    const cookie = this.#view.getUint32(12);
    const request = this.#pending.get(cookie);
    if (this.#view.getUint32(0) !== magic.simpleReply || this.#view.getUint32(8) !== 0 || !request) {
      this.#end(new HotMirrorError('HM_PROTOCOL', 'the net disk server answered what it was not asked'));
      return;
    }
    this.#pending.delete(cookie);
    const error = this.#view.getUint32(4);
    if (error === 0 && request.into && request.into.byteLength > 0) this.#reading = { request, at: 0 };
    else request.answered(error);
  }

  #end(error: HotMirrorError): void {
    if (this.#over) return;
    this.#over = true;
    this.#pending.clear();
    this.#socket.destroy();
    this.#lost?.(error);
  }
}

/** Takes bytes from a socket as they are asked for, until its listeners are removed. */
function reader(socket: Socket): (lengthBytes: number) => Promise<Uint8Array> {
  let bytes: Uint8Array = noBytes;
  let ended: Error | null = null;
  let wake: () => void = () => undefined;
  socket.on('data', (more: Uint8Array) => {
    bytes = new Uint8Array(Buffer.concat([bytes, more]));
    wake();
  });
  socket.on('error', (error) => (ended = error));
  socket.on('close', () => {
    ended ??= new Error('the server ended the connection');
    wake();
  });
  return async (lengthBytes) => {
    while (bytes.byteLength < lengthBytes) {
      if (ended) throw HotMirrorError.from(ended, 'HM_CONNECT_FAILED', 'the net disk server');
      await new Promise<void>((resolve) => (wake = resolve));
    }
    const taken = bytes.subarray(0, lengthBytes);
    bytes = bytes.subarray(lengthBytes);
    return taken;
  };
}
