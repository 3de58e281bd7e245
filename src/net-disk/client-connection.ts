import { connect } from 'node:net';
import type { Socket } from 'node:net';

import type { Clock } from '../clock/clock.ts';
import { within } from '../clock/within.ts';
import { HotMirrorError } from '../errors.ts';
import { enterExport } from './client-handshake.ts';
import type { NetDiskAddress } from './net-disk-address.ts';
import { commands, magic, sizes } from './protocol.ts';
import type { ServerExport } from './server-export.ts';

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
  /** For how long nothing comes before the system probes whether the server's machine is still there. */
  readonly keepAliveMs: number;
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** How a connection ended. */
export interface ConnectionEnd {
  readonly error: HotMirrorError;
  /** Requests without an answer may still be carried out, after whatever a new connection asks for. */
  readonly mayStillChange: boolean;
}

const changing: ReadonlySet<number> = new Set([commands.write, commands.writeZeroes, commands.trim]);
/** What a socket says whose other end is closed. Any other error says nothing of the server. */
const endedByServer: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE']);
const twoTo32 = 2 ** 32;
const noBytes = new Uint8Array(0);

/** One connection to a server, over which an export is used. */
export class ClientConnection {
  readonly exported: ServerExport;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #pending: Map<number, ClientRequest> = new Map();
  /** Of those pending, how many change the disk. */
  #changes = 0;
  readonly #header: Uint8Array = new Uint8Array(sizes.simpleReply);
  readonly #view: DataView = new DataView(this.#header.buffer);
  #headerBytes = 0;
  /** The read whose data is coming, and how much of it has. */
  #reading: { readonly request: ClientRequest; at: number } | null = null;
  #nextCookie = 1;
  #heardMs: number;
  #retired: HotMirrorError | null = null;
  #end: ConnectionEnd | null = null;
  #ended: (end: ConnectionEnd) => void = () => undefined;

  private constructor(socket: Socket, exported: ServerExport, clock: Clock) {
    this.#socket = socket;
    this.exported = exported;
    this.#clock = clock;
    this.#heardMs = clock.nowMs();
    socket.on('data', (bytes: Uint8Array) => this.#arrived(bytes));
    socket.on('end', () => this.#endWith('the server ended the connection', true));
    let code: string | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code));
    socket.on('close', () => this.#endWith(`the connection broke: ${code ?? 'closed'}`, endedByServer.has(code)));
    socket.resume();
  }

  /** Connects and agrees. Rejects with `HM_CONNECT_FAILED`, as the handshake does, or with the signal's reason. */
  static async open({ address, name, clock, connectDeadlineMs, keepAliveMs, signal }: ClientOptions): Promise<ClientConnection> {
    const what = 'the connection to the NBD server';
    const limit = { deadlineMs: connectDeadlineMs, code: 'HM_CONNECT_FAILED', what, ...(signal ? { signal } : {}) } as const;
    const socket = connect({ ...address, keepAlive: true, keepAliveInitialDelay: keepAliveMs }).setNoDelay(true);
    // Where there is an error `close` follows, and tells.
    socket.on('error', () => undefined);
    const intake = new Intake(socket);
    try {
      const take = (lengthBytes: number): Promise<Uint8Array> => intake.take(lengthBytes);
      const exported = await within(clock, limit, () => enterExport(take, (bytes) => void socket.write(bytes), name));
      signal?.throwIfAborted();
      intake.leave();
      // Nobody has listened for its end meanwhile.
      if (hasEnded(socket)) throw endedEarly(socket);
      return new ClientConnection(socket, exported, clock);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Requests may be made. */
  get open(): boolean {
    return !this.#retired && !this.#end;
  }

  /** For how long the server has owed an answer and said nothing; 0 where it owes none. */
  get silentMs(): number {
    return this.#pending.size > 0 || this.#reading ? this.#clock.nowMs() - this.#heardMs : 0;
  }

  /** Who hears, once, that it has ended, unless it was closed by this side; at once where it has already. */
  onEnd(ended: (end: ConnectionEnd) => void): void {
    this.#ended = ended;
    if (this.#end) ended(this.#end);
  }

  request(request: ClientRequest): void {
    if (this.#end) return;
    if (this.#pending.size === 0 && !this.#reading) this.#heardMs = this.#clock.nowMs();
    if (changing.has(request.command)) this.#changes += 1;
    this.#pending.set(this.#nextCookie, request);
    this.#send(request);
  }

  /**
   * It is to end, and nothing new to be asked: it ends as soon as no change is without answer. Until then this side keeps it open, for what a server that is asked to disconnect
   * does with its requests under way is not known to anybody: `qemu-nbd` ends the connection at once, and writes seconds later.
   */
  retire(because: HotMirrorError): void {
    if (!this.open) return;
    this.#retired = because;
    // Where the server's machine has started anew, nothing but bytes from here makes it say so.
    if (this.#changes > 0) {
      const into = new Uint8Array(this.exported.blockSizeBytes);
      this.request({
        command: commands.read,
        ...{ flags: 0, offsetBytes: 0, lengthBytes: into.byteLength, payload: null, into },
        answered: () => undefined,
      });
    }
    this.#endIfRetired();
  }

  /** Ends it in order: the server is told. For one without requests under way. */
  close(): void {
    if (this.#end) return;
    this.#ended = () => undefined;
    this.#send({ command: commands.disconnect, flags: 0, offsetBytes: 0, lengthBytes: 0, payload: null });
    this.#end = { error: new HotMirrorError('HM_CLOSED', 'the connection was closed'), mayStillChange: false };
    this.#socket.destroySoon();
  }

  /** Ends it at once, whatever is under way; nobody hears of it. */
  abandon(): void {
    if (this.#end) return;
    this.#ended = () => undefined;
    // What the system has not sent yet must not reach the server later.
    if (this.#socket.remoteAddress !== undefined) this.#socket.resetAndDestroy();
    this.#endWith('the connection was given up', false);
  }

  #send({ command, flags, offsetBytes, lengthBytes, payload }: Omit<ClientRequest, 'into' | 'answered'>): void {
    const header = new Uint8Array(sizes.request);
    const view = new DataView(header.buffer);
    view.setUint32(0, magic.request);
    view.setUint16(4, flags);
    view.setUint16(6, command);
    view.setUint32(12, this.#nextCookie);
    view.setBigUint64(16, BigInt(offsetBytes));
    view.setUint32(24, lengthBytes);
    this.#nextCookie = (this.#nextCookie + 1) % twoTo32;
    this.#socket.cork();
    this.#socket.write(header);
    if (payload) this.#socket.write(payload);
    process.nextTick(() => this.#socket.uncork());
  }

  #arrived(bytes: Uint8Array): void {
    this.#heardMs = this.#clock.nowMs();
    let left = bytes;
    while (left.byteLength > 0 && !this.#end) left = this.#reading ? this.#fill(this.#reading, left) : this.#readHeader(left);
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
      this.#endWith('the server answered what it was not asked', false);
      return;
    }
    this.#pending.delete(cookie);
    if (changing.has(request.command)) this.#changes -= 1;
    const error = this.#view.getUint32(4);
    if (error === 0 && request.into && request.into.byteLength > 0) this.#reading = { request, at: 0 };
    else request.answered(error);
    this.#endIfRetired();
  }

  #endIfRetired(): void {
    if (this.#retired && this.#changes === 0) this.#endWith(this.#retired.message, false);
  }

  #endWith(because: string, byServer: boolean): void {
    if (this.#end) return;
    this.#end = { error: new HotMirrorError('HM_CONNECTION_LOST', because), mayStillChange: this.#changes > 0 && !byServer };
    this.#pending.clear();
    this.#reading = null;
    this.#socket.destroy();
    this.#ended(this.#end);
  }
}

/** The next bytes of a socket that nobody else reads from. */
function hasEnded(socket: Socket): boolean {
  return socket.destroyed || socket.readableEnded;
}

function endedEarly(socket: Socket): HotMirrorError {
  return HotMirrorError.from(socket.errored ?? new Error('it ended the connection'), 'HM_CONNECT_FAILED', 'the NBD server');
}

/** What a server says before it is used: taken piece by piece as it comes, and read no further than is taken. */
class Intake {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #wanted: { readonly lengthBytes: number; readonly resolve: (bytes: Uint8Array) => void; readonly reject: (error: Error) => void } | null =
    null;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', this.#arrived).on('end', this.#ended).on('close', this.#ended);
    socket.pause();
  }

  /** The next bytes. Rejects with `HM_CONNECT_FAILED` where the connection ends before. */
  take(lengthBytes: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#wanted = { lengthBytes, resolve, reject };
      this.#satisfy();
    });
  }

  /** Reads no more; what was read and not taken comes again. */
  leave(): void {
    this.#socket.off('data', this.#arrived).off('end', this.#ended).off('close', this.#ended);
    this.#socket.pause();
    if (this.#bytes.byteLength > 0) this.#socket.unshift(this.#bytes);
  }

  readonly #arrived = (bytes: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    this.#satisfy();
  };

  readonly #ended = (): void => {
    this.#wanted?.reject(endedEarly(this.#socket));
    this.#wanted = null;
  };

  #satisfy(): void {
    const wanted = this.#wanted;
    if (!wanted) return;
    if (this.#bytes.byteLength >= wanted.lengthBytes) {
      this.#wanted = null;
      const taken = this.#bytes.subarray(0, wanted.lengthBytes);
      this.#bytes = this.#bytes.subarray(wanted.lengthBytes);
      this.#socket.pause();
      wanted.resolve(taken);
    } else if (hasEnded(this.#socket)) this.#ended();
    else this.#socket.resume();
  }
}
