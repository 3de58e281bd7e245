import type { BlockDevice, DeviceCapabilities, Done, WriteOptions, ZeroesOptions } from '../../device/block-device.ts';
import { HotMirrorError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import type { MirrorLink } from '../../mirror/mirror-link.ts';
import { ChunkPool } from '../../net-disk/chunk-pool.ts';
import { netDiskLimits } from '../../net-disk/limits.ts';
import { commandFlags, commands } from '../../net-disk/protocol.ts';
import { Session } from '../../net-disk/session.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { clientFlags, go, requestBytes, structuredReplies, takeReply } from './net-disk-bytes.ts';
import type { NodeClock } from './node-clock.ts';
import type { SimulatedProcess } from './simulated-process.ts';

/** What a client of a net disk works with. */
export interface SimulatedNetDiskOptions {
  readonly mirror: MirrorLink;
  readonly clock: NodeClock;
  readonly random: SeededRandom;
  /** That of the process. */
  readonly pool: ChunkPool;
}

/** What was asked and has no answer yet. */
interface Asked {
  readonly into: Uint8Array | null;
  readonly done: Done;
}

/** Longest gathering of requests, and longest stay of answers in a socket, in ms. */
const longestMs = 2;
const percent = 100;
/** Of a hundred deliveries, those that come in pieces; and of answers, those that the socket does not take at once. */
const inPieces = 20;
const slowly = 20;
const longestPieceBytes = 4_096;
/** As small as a chunk may be: what does not fit into one comes more often. */
const chunkBytes = 2 ** 19;
const limits = netDiskLimits({ requestBytes: 2 ** 21, windowBytes: 2 ** 22, requests: 8 });

/**
 * A client that uses a mirror through the net disk of its node, as an operating system does: what it asks in a moment arrives together, in pieces of any size, by
 * the shipped session over a socket of memory. Whether bytes that were handed over are left alone until the socket has taken them is looked at.
 */
export class SimulatedNetDisk {
  readonly #options: SimulatedNetDiskOptions;
  readonly #asked = new Map<number, Asked>();
  #cookie = 0;
  #session: Session;
  /** Where the next bytes go: asked for when the last ones were taken, as a socket does, and written to however much later. */
  #room: Uint8Array = new Uint8Array(0);
  #sizeBytes = 0;
  #using = false;
  /** Not yet taken by the session. */
  #outgoing: Buffer = Buffer.alloc(0);
  #deliveryDue = false;
  #stopped = false;
  /** Of answers, what is no whole one yet. */
  #incoming: Buffer = Buffer.alloc(0);
  /** Handed over and still in the socket, each with what it was then. */
  #kept: { readonly bytes: Uint8Array; readonly was: Buffer }[] = [];

  constructor(options: SimulatedNetDiskOptions) {
    this.#options = options;
    this.#session = this.#connect();
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#ask({ into, done }, { command: commands.read, flags: 0, offsetBytes, lengthBytes: into.byteLength });
  }

  write(offsetBytes: number, from: Uint8Array, { fua = false }: WriteOptions, done: Done): void {
    const lengthBytes = from.byteLength;
    this.#ask({ into: null, done }, { command: commands.write, flags: fua ? commandFlags.fua : 0, offsetBytes, lengthBytes }, from);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, { fua = false }: ZeroesOptions, done: Done): void {
    this.#ask({ into: null, done }, { command: commands.writeZeroes, flags: fua ? commandFlags.fua : 0, offsetBytes, lengthBytes });
  }

  flush(done: Done): void {
    this.#ask({ into: null, done }, { command: commands.flush, flags: 0, offsetBytes: 0, lengthBytes: 0 });
  }

  #ask(asked: Asked, request: Omit<Parameters<typeof requestBytes>[0], 'cookie'>, payload?: Uint8Array): void {
    // An export keeps the size that it had when it was connected to.
    if (this.#options.mirror.sizeBytes !== this.#sizeBytes && this.#asked.size === 0) this.#reconnect();
    this.#cookie += 1;
    this.#asked.set(this.#cookie, asked);
    this.#outgoing = Buffer.concat([this.#outgoing, requestBytes({ ...request, cookie: this.#cookie }), ...(payload ? [payload] : [])]);
    if (this.#deliveryDue) return;
    this.#deliveryDue = true;
    this.#soon(() => {
      this.#deliveryDue = false;
      this.#deliver();
    });
  }

  #connect(): Session {
    const { mirror, clock, pool } = this.#options;
    const exported = { name: mirror.name, device: new Telling(mirror), readOnly: false };
    this.#sizeBytes = mirror.sizeBytes;
    this.#using = false;
    const session: Session = new Session({
      host: { exports: () => [exported], find: () => exported, closing: () => false, full: () => false, tls: 'none', limits },
      ...{ limits, clock, pool },
      wire: {
        send: (parts) => this.#take(session, parts),
        resume: () => this.#soon(() => this.#resume(session)),
        startTls: () => undefined,
        end: () => undefined,
        destroy: () => undefined,
      },
      ended: (because) => {
        if (this.#session === session) throw new Error(`net-disk: the session ended: ${String(because)}`);
      },
      entered: () => (this.#using = true),
    });
    session.begin();
    this.#room = session.buffer();
    this.#stopped = false;
    this.#outgoing = Buffer.concat([clientFlags, structuredReplies, go(mirror.name)]);
    this.#pour(session, () => Infinity);
    return session;
  }

  #reconnect(): void {
    const before = this.#session;
    this.#kept = [];
    this.#session = this.#connect();
    before.lost();
  }

  #resume(session: Session): void {
    if (this.#session !== session) return;
    this.#stopped = false;
    this.#deliver();
  }

  #deliver(): void {
    const { random } = this.#options;
    const pieces = random.below(percent) < inPieces;
    this.#pour(this.#session, () => (pieces ? 1 + random.below(longestPieceBytes) : Infinity));
  }

  #pour(session: Session, atMostBytes: () => number): void {
    while (this.#outgoing.byteLength > 0 && !this.#stopped) {
      const lengthBytes = Math.min(this.#room.byteLength, this.#outgoing.byteLength, atMostBytes());
      this.#room.set(this.#outgoing.subarray(0, lengthBytes));
      this.#outgoing = this.#outgoing.subarray(lengthBytes);
      this.#stopped = !session.filled(lengthBytes);
      this.#room = session.buffer();
    }
  }

  /** Answers count when they are sent: from then on they are out of the hands of the node. */
  #take(session: Session, parts: readonly Uint8Array[]): boolean {
    const { random } = this.#options;
    if (!this.#using) return true;
    const slow = this.#kept.length > 0 || random.below(percent) < slowly;
    if (slow) {
      if (this.#kept.length === 0) this.#soon(() => this.#sent(session));
      for (const bytes of parts) this.#kept.push({ bytes, was: Buffer.from(bytes) });
    }
    this.#incoming = Buffer.concat([this.#incoming, ...parts]);
    for (let reply = takeReply(this.#incoming); reply; reply = takeReply(this.#incoming)) {
      this.#incoming = this.#incoming.subarray(reply.wholeBytes);
      const asked = this.#asked.get(reply.cookie);
      if (!asked) throw new Error(`net-disk: an answer to request ${String(reply.cookie)}, which was not asked or was answered before`);
      this.#asked.delete(reply.cookie);
      if (reply.data) asked.into?.set(reply.data);
      asked.done(reply.error === 0 ? null : errorOf(reply.text));
    }
    return !slow;
  }

  #sent(session: Session): void {
    const kept = this.#kept;
    if (this.#session !== session) return;
    this.#kept = [];
    if (!kept.every(({ bytes, was }) => was.equals(bytes))) throw new Error('net-disk: memory of an answer was used again before it left');
    session.sent();
  }

  #soon(run: () => void): void {
    const { clock, random } = this.#options;
    clock.timer(random.below(longestMs + 1), run);
  }
}

/** The net disks of all processes, each with a client. */
export class SimulatedNetDisks {
  readonly #random: SeededRandom;
  readonly #clients = new WeakMap<MirrorLink, SimulatedNetDisk>();
  /** Memory dies with its process, whatever disks still have of it. */
  readonly #pools = new WeakMap<SimulatedProcess, ChunkPool>();

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** The client that uses this mirror of this process. */
  of(process: SimulatedProcess, mirror: MirrorLink): SimulatedNetDisk {
    const pool = this.#pools.get(process) ?? new ChunkPool({ chunkBytes, keptBytes: 4 * chunkBytes });
    this.#pools.set(process, pool);
    const client = this.#clients.get(mirror) ?? new SimulatedNetDisk({ mirror, clock: process.clock, random: this.#random, pool });
    this.#clients.set(mirror, client);
    return client;
  }
}

/** A mirror whose errors carry their code in the text that travels: the protocol itself knows fewer. */
class Telling implements BlockDevice {
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  readonly #device: BlockDevice;

  constructor(device: BlockDevice) {
    this.#device = device;
    this.blockSizeBytes = device.blockSizeBytes;
    this.capabilities = device.capabilities;
  }

  get sizeBytes(): number {
    return this.#device.sizeBytes;
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#device.read(offsetBytes, into, telling(done));
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    this.#device.write(offsetBytes, from, options, telling(done));
  }

  flush(done: Done): void {
    this.#device.flush(telling(done));
  }

  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    this.#device.trim(offsetBytes, lengthBytes, telling(done));
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: ZeroesOptions, done: Done): void {
    this.#device.writeZeroes(offsetBytes, lengthBytes, options, telling(done));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function telling(done: Done): Done {
  return (error) => done(error && new HotMirrorError(error.code, `${error.code}: ${error.message}`));
}

function errorOf(text: string): HotMirrorError {
  const code = /^HM_[A-Z_]+/u.exec(text)?.[0] as ErrorCode | undefined;
  return new HotMirrorError(code ?? 'HM_OUT_OF_RANGE', text);
}
