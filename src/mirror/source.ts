import { copyOf } from '../bytes.ts';
import type { HotMirrorError } from '../errors.ts';
import type { StreamProgress } from './ack-watch.ts';
import { Compares } from './compares.ts';
import { Fetches } from './fetches.ts';
import type { MirrorProtocol } from './options.ts';
import { mayLoseBytes, protocols } from './protocol.ts';
import { mayPullAhead } from './pull-ahead.ts';
import type { Request } from './request.ts';
import type { SourceSessionOptions } from './source-options.ts';
import { encodeLength, encodeZeroes, malformed, maxBodyBytes } from './wire.ts';
import type { Message } from './wire.ts';
import { zeroBytes } from './zero-bytes.ts';

/** Told that the target holds a write as promised, and the number of the write. */
export type Held = (sequence: number) => void;

interface Sent {
  readonly sequence: number;
  /** When it was sent, of a write of the application; null of the others. */
  readonly beganMs: number | null;
  readonly windowBytes: number;
  readonly resyncBytes: number;
  /** By the protocol in force when it was sent: what the target must have done with it. */
  readonly promise: MirrorProtocol;
  /** Called once with its number, when that is so. */
  readonly held: Held;
}

/** A range of zeroes to be sent. */
interface ZeroesRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly noHole: boolean;
}

/** Messages by which a target confirms what its element holds. */
const confirming: ReadonlySet<string> = new Set(['ack', 'flushed', 'adopted', 'detached']);
/** Messages by which a target answers what it was asked. */
const answering: ReadonlySet<string> = new Set(['fetched', 'compared', 'adopted', 'behind', 'detached']);

/** What is about to be sent. */
interface Sending {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly windowBytes?: number;
  readonly resyncBytes?: number;
  readonly promise?: MirrorProtocol;
  /** Of zeroes of a resync nobody waits for that. */
  readonly held?: Held;
}

const unwatched = (): void => undefined;
/** Zeroes in place of one byte in the window: a disk that cannot punch holes writes eight windows of them at once, and one that can is kept busy. */
const zeroesPerWindowByte = 8;

interface SentFlush {
  /** Extents whose last write this flush covers. */
  readonly written: ReadonlySet<number>;
  /** The last write before it: applied when the flush is confirmed. */
  readonly sequence: number;
  readonly flushed: () => void;
}

/**
 * The sending end of a mirror over one connection: numbers writes, keeps the window, and knows at every moment which extents the target
 * may lack durably (rule write.inflight).
 */
export class SourceSession {
  /** What is asked of the target's element. */
  readonly fetches: Fetches;
  /** What the target is to compare. */
  readonly compares: Compares;
  readonly #options: SourceSessionOptions;
  #sequence = 0;
  #flushes = 0;
  /** Sent and not acknowledged, in order; `#head` is the first that counts. */
  #sent: Sent[] = [];
  #head = 0;
  #acknowledged = 0;
  #confirmations = 0;
  #answers = 0;
  #offered = false;
  /** The target is to record that it is behind. */
  #behind: (() => void) | null = null;
  /** Everything up to this is in the target's hands. */
  #received = 0;
  /** The last write of which the application knows that it is complete. */
  #completed = 0;
  /** What follows is applied after everything up to this. */
  #barrier = 0;
  #windowBytes = 0;
  #resyncBytes = 0;
  #written = new Set<number>();
  #detached: (() => void) | null = null;
  readonly #flushing = new Map<number, SentFlush>();

  constructor(options: SourceSessionOptions) {
    this.#options = options;
    this.fetches = new Fetches(options.data);
    this.compares = new Compares(options.data, options.extentBytes, options.digest);
  }

  get connectionId(): string {
    return this.#options.data.id;
  }

  /** Bytes of writes that are sent and not acknowledged. */
  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** Bytes of resync writes that are sent and not acknowledged. */
  get resyncWindowBytes(): number {
    return this.#resyncBytes;
  }

  /** Whether a request may be sent now. One that is larger than the window may go alone. */
  hasRoom(request: Pick<Request, 'lengthBytes' | 'bytes'>): boolean {
    const roomBytes = this.#options.windowBytes - this.#windowBytes;
    // Where a full window cannot lead ahead it is the transport that says when there is room, or a resync would find none (rule resync.progress).
    if (!this.#options.data.writable && !(this.#pullsAhead(request) && this.fetches.uptodate)) return false;
    return this.#windowBytes === 0 || this.#takesBytes(request) <= roomBytes;
  }

  /** Whether a request that finds no room is a reason to go on without the target (rule write.congested). */
  isCongested(request: Pick<Request, 'lengthBytes' | 'bytes'>): boolean {
    return this.#pullsAhead(request) && !this.hasRoom(request);
  }

  /** Asks the target to record durably that it is behind; `confirmed` is called when it has. */
  sayAhead(confirmed: () => void): void {
    this.#behind = confirmed;
    this.#options.data.send('ahead');
  }

  /** Whether a resync write may be sent now. */
  hasResyncRoom(lengthBytes: number): boolean {
    return this.#options.data.writable && (this.#resyncBytes === 0 || this.#resyncBytes + lengthBytes <= this.#options.resyncWindowBytes);
  }

  /** The target knows other protocols than sync. */
  get knowsProtocols(): boolean {
    return this.#options.data.features.has('protocols');
  }

  /** Tells the target by which protocol requests complete from here on. Default: the one in force. */
  announceProtocol(told: MirrorProtocol = this.#options.protocol.current): void {
    const { data, windowBytes } = this.#options;
    if (this.knowsProtocols) data.send('protocol', protocols.indexOf(told), mayLoseBytes(told, windowBytes));
  }

  /**
   * Sends a write; `held` is called when the target holds it as the protocol in force promises: at once by `async`, when it is received by `memsync`, when it
   * is applied by `sync`. Until then the bytes must not change.
   */
  write(offsetBytes: number, bytes: Uint8Array, held: Held): void {
    const lengthBytes = bytes.byteLength;
    const promise = this.#promise(lengthBytes);
    this.#keepOrder();
    const sequence = this.#track({ offsetBytes, lengthBytes, windowBytes: lengthBytes, promise, held });
    // By async the caller has its buffer back before the bytes are on their way.
    this.#options.data.send('write', sequence, offsetBytes, promise === 'async' ? copyOf(bytes) : bytes);
    if (promise === 'async') held(sequence);
  }

  /**
   * Sends zeroes as a write. They take less room in the window than bytes: the target writes them only where it can punch no hole. A peer without a message for them gets bytes.
   */
  zeroes({ offsetBytes, lengthBytes, noHole }: ZeroesRange, held: Held): void {
    const { data } = this.#options;
    if (data.features.has('zeroes')) {
      const promise = this.#promise(lengthBytes);
      this.#keepOrder();
      const windowBytes = this.#takesBytes({ lengthBytes, bytes: zeroBytes.subarray(0, 0) });
      const sequence = this.#track({ offsetBytes, lengthBytes, windowBytes, promise, held });
      data.send('zeroes', sequence, offsetBytes, encodeZeroes({ lengthBytes, noHole }));
      if (promise === 'async') held(sequence);
      return;
    }
    for (let atBytes = 0; atBytes < lengthBytes; atBytes += maxBodyBytes) {
      const pieceBytes = Math.min(maxBodyBytes, lengthBytes - atBytes);
      const last = atBytes + pieceBytes === lengthBytes;
      this.write(offsetBytes + atBytes, zeroBytes.subarray(0, pieceBytes), last ? held : () => undefined);
    }
  }

  /** Whether the target has this write in its hands, whatever becomes of the connection. */
  hasReceived(sequence: number): boolean {
    return sequence <= this.#received;
  }

  /** The application knows that this write is complete: what it asks for from now on must not be applied without it (rule write.order). */
  completed(sequence: number): void {
    this.#completed = Math.max(this.#completed, sequence);
  }

  /** Sends a resync write, in the same order as the writes (rule resync.newer); `held` as of a write by `sync`. */
  resync(offsetBytes: number, bytes: Uint8Array, held: Held): void {
    const lengthBytes = bytes.byteLength;
    const sequence = this.#track({ offsetBytes, lengthBytes, resyncBytes: lengthBytes, held });
    this.#options.data.send('resync', sequence, offsetBytes, bytes);
  }

  /** Whether the peer takes `hole`. */
  get sendsHoles(): boolean {
    return this.#options.data.features.has('holes');
  }

  /** Sends a resync write of zeroes without its bytes. It takes room in the window all the same: the target has to look what it holds there. */
  hole(offsetBytes: number, lengthBytes: number): void {
    const sequence = this.#track({ offsetBytes, lengthBytes, resyncBytes: lengthBytes });
    this.#options.data.send('hole', sequence, offsetBytes, encodeLength(lengthBytes));
  }

  /** Asks for durability of everything sent so far; `flushed` is called when the target has confirmed it. */
  flush(flushed: () => void): void {
    this.#flushes += 1;
    this.#flushing.set(this.#flushes, { written: this.#written, sequence: this.#sequence, flushed });
    this.#written = new Set();
    this.#options.data.send('flush', this.#flushes);
  }

  /** What the target has yet to confirm, and how much it has. */
  get progress(): StreamProgress {
    return { outstanding: this.#head < this.#sent.length || this.#flushing.size > 0, confirmations: this.#confirmations };
  }

  /** What the target has yet to answer, and how much it has: a disk that hangs under reads alone goes on to confirm writes. */
  get answers(): StreamProgress {
    const asked = this.#offered || this.#behind !== null || this.#detached !== null;
    const outstanding = asked || this.fetches.outstanding > 0 || this.compares.outstanding > 0;
    return { outstanding, confirmations: this.#answers };
  }

  /** Everything written through this session is confirmed durable. */
  get settled(): boolean {
    return this.#head === this.#sent.length && this.#written.size === 0 && this.#flushing.size === 0;
  }

  /** Whether the target's element alone can be served through. */
  get mayDetach(): boolean {
    return this.#behind === null && this.fetches.supported && this.fetches.uptodate && this.#options.data.features.has('diskless');
  }

  /** From this place in the stream on the target alone holds everything; `detached` is called when that is durable, and all before it. */
  detach(generation: string, detached: () => void): void {
    this.#detached = detached;
    this.#options.data.sendJson('detach', { generation });
  }

  /** Offers the lineage; the answer comes by `adopted`. */
  adopt(lineage: unknown): void {
    this.#offered = true;
    this.#options.data.sendJson('adopt', lineage);
  }

  /** Extents that the target may lack: to be marked dirty when the connection is lost. */
  *unconfirmed(): Generator<number> {
    for (const { written } of this.#flushing.values()) yield* written;
    yield* this.#written;
  }

  /** What a verify found counts no longer. */
  waive(): void {
    if (this.compares.supported) this.#options.data.send('waived');
  }

  /** Takes one message of the target. Throws `HM_PROTOCOL` on what makes no sense. */
  message(message: Message): void {
    // What is received or read shows nothing of a disk that takes no writes.
    if (confirming.has(message.name)) this.#confirmations += 1;
    if (answering.has(message.name)) this.#answers += 1;
    switch (message.name as string) {
      case 'ack':
        this.#acknowledge(message.a);
        return;
      case 'received':
        this.#receipt(message.a);
        return;
      case 'flushed': {
        const flush = this.#flushing.get(message.a);
        if (!flush) throw malformed(`a flush was confirmed that was not asked for: ${String(message.a)}`);
        this.#flushing.delete(message.a);
        this.#acknowledge(flush.sequence);
        flush.flushed();
        return;
      }
      case 'adopted':
        this.#offered = false;
        this.#options.adopted();
        return;
      case 'detached': {
        const detached = this.#detached;
        if (!detached) throw malformed('a source was detached from that did not ask for it');
        this.#detached = null;
        detached();
        return;
      }
      case 'behind': {
        const confirmed = this.#behind;
        if (!confirmed) throw malformed('a target fell behind that was not told to');
        this.#behind = null;
        confirmed();
        return;
      }
      case 'compared':
        this.compares.answered(message);
        this.#options.room();
        return;
      case 'fetched':
        this.fetches.answered(message);
        return;
      default:
        throw malformed(`a source cannot take ${message.name}`);
    }
  }

  /** Ends the connection because of what this side found out. */
  refuse(error: HotMirrorError): void {
    this.#options.data.refuse(error);
  }

  /** Takes note of what is sent next, and gives its sequence. */
  #track({ offsetBytes, lengthBytes, windowBytes = 0, resyncBytes = 0, promise = 'sync', held = unwatched }: Sending): number {
    const { extentBytes, counters, rate } = this.#options;
    if (resyncBytes > 0) {
      counters.resync.sentBytes += resyncBytes;
    } else {
      counters.replication.sentWrites += 1;
      counters.replication.sentBytes += lengthBytes;
    }
    this.#sequence += 1;
    this.#windowBytes += windowBytes;
    this.#resyncBytes += resyncBytes;
    const beganMs = resyncBytes > 0 ? null : rate.writeBegan();
    this.#sent.push({ sequence: this.#sequence, beganMs, windowBytes, resyncBytes, promise, held });
    const last = Math.floor((offsetBytes + lengthBytes - 1) / extentBytes);
    for (let extent = Math.floor(offsetBytes / extentBytes); extent <= last; extent += 1) this.#written.add(extent);
    return this.#sequence;
  }

  #acknowledge(sequence: number): void {
    if (sequence > this.#sequence) throw malformed(`a write was acknowledged that was not sent: ${String(sequence)}`);
    this.#acknowledged = Math.max(this.#acknowledged, sequence);
    // What is applied was received; who acknowledges at once need not say so before.
    this.#receipt(sequence);
    for (let sent = this.#sent[this.#head]; sent && sent.sequence <= sequence; sent = this.#sent[this.#head]) {
      this.#head += 1;
      this.#windowBytes -= sent.windowBytes;
      this.#resyncBytes -= sent.resyncBytes;
      if (sent.beganMs !== null) this.#options.rate.writeEnded(sent.beganMs);
      if (sent.promise === 'sync') sent.held(sent.sequence);
    }
    // Acknowledged entries are dropped in bulk: shifting one at a time costs more than it saves.
    if (this.#head > this.#sent.length / 2) {
      this.#sent = this.#sent.slice(this.#head);
      this.#head = 0;
    }
    this.#options.room();
  }

  #receipt(sequence: number): void {
    if (sequence > this.#sequence) throw malformed(`a write was received that was not sent: ${String(sequence)}`);
    const before = this.#received;
    if (sequence <= before) return;
    this.#received = sequence;
    const oldest = this.#sent[this.#head]?.sequence ?? sequence;
    let at = this.#head + Math.max(0, before + 1 - oldest);
    for (let sent = this.#sent[at]; sent && sent.sequence <= sequence; sent = this.#sent[at]) {
      at += 1;
      if (sent.promise === 'memsync') sent.held(sent.sequence);
    }
  }

  /** What the target must have done with a write before it completes. More than the window cannot be promised to be all that is lost, so it waits as by `sync`. */
  #promise(lengthBytes: number): MirrorProtocol {
    const { protocol, windowBytes } = this.#options;
    if (!this.knowsProtocols || (protocol.current === 'async' && lengthBytes > windowBytes)) return 'sync';
    return protocol.current;
  }

  /** The window alone bounds what such a request may find queued: a transport that would rather wait is what makes it full. */
  #pullsAhead({ lengthBytes }: Pick<Request, 'lengthBytes'>): boolean {
    return mayPullAhead(this.#options) && this.#promise(lengthBytes) === 'async';
  }

  #takesBytes({ lengthBytes, bytes }: Pick<Request, 'lengthBytes' | 'bytes'>): number {
    if (this.#promise(lengthBytes) === 'async') return lengthBytes;
    return Math.max(bytes.byteLength, Math.ceil(lengthBytes / zeroesPerWindowByte));
  }

  /** Rule write.order: what is sent next may depend on what the application knows to be complete, though the target has not applied it yet. */
  #keepOrder(): void {
    const { data } = this.#options;
    if (this.#completed <= Math.max(this.#barrier, this.#acknowledged)) return;
    this.#barrier = this.#sequence;
    data.send('barrier');
  }
}
