import type { HotMirrorError } from '../errors.ts';
import type { Counters } from './counters.ts';
import type { DataConnection } from './data-connection.ts';
import { Fetches } from './fetches.ts';
import type { Request } from './request.ts';
import { encodeZeroes, malformed, maxBodyBytes } from './wire.ts';
import type { Message } from './wire.ts';

/** What a source session needs to know of its mirror. */
export interface SourceSessionOptions {
  readonly data: DataConnection;
  readonly extentBytes: number;
  readonly windowBytes: number;
  readonly resyncWindowBytes: number;
  readonly counters: Counters;
  /** There is room in a window again. */
  readonly room: () => void;
  /** The target has taken over the lineage. */
  readonly adopted: () => void;
}

interface Sent {
  readonly sequence: number;
  readonly windowBytes: number;
  readonly resyncBytes: number;
  readonly acknowledged: () => void;
}

/** A range of zeroes to be sent. */
interface ZeroesRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly noHole: boolean;
}

/** What is about to be sent. */
interface Sending {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly windowBytes?: number;
  readonly resyncBytes?: number;
  readonly acknowledged: () => void;
}

/** What zeroes are written as for a peer that has no message for them. Never written to. */
const zeroBytes = new Uint8Array(maxBodyBytes);

interface SentFlush {
  /** Extents whose last write this flush covers. */
  readonly written: ReadonlySet<number>;
  readonly flushed: () => void;
}

/**
 * The sending end of a mirror over one connection: numbers writes, keeps the window, and knows at every moment which extents the target
 * may lack durably (rule write.inflight).
 */
export class SourceSession {
  /** What is asked of the target's element. */
  readonly fetches: Fetches;
  readonly #options: SourceSessionOptions;
  #sequence = 0;
  #flushes = 0;
  /** Sent and not acknowledged, in order; `#head` is the first that counts. */
  #sent: Sent[] = [];
  #head = 0;
  #windowBytes = 0;
  #resyncBytes = 0;
  #written = new Set<number>();
  #detached: (() => void) | null = null;
  readonly #flushing = new Map<number, SentFlush>();

  constructor(options: SourceSessionOptions) {
    this.#options = options;
    this.fetches = new Fetches(options.data);
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

  /** Whether a write may be sent now. One that is larger than the window may go alone. */
  hasRoom(lengthBytes: number): boolean {
    return this.#options.data.writable && (this.#windowBytes === 0 || this.#windowBytes + lengthBytes <= this.#options.windowBytes);
  }

  /** Whether a resync write may be sent now. */
  hasResyncRoom(lengthBytes: number): boolean {
    return this.#options.data.writable && (this.#resyncBytes === 0 || this.#resyncBytes + lengthBytes <= this.#options.resyncWindowBytes);
  }

  /** Sends a request, with `durable` and a flush after it; gives how often `step` will be called, never within this call. */
  request(request: Request, durable: boolean, step: () => void): number {
    const { kind, offsetBytes, bytes } = request;
    if (kind === 'write') this.write(offsetBytes, bytes, step);
    if (kind === 'zeroes') this.zeroes(request, step);
    if (kind !== 'flush' && !durable) return 1;
    this.flush(step);
    return kind === 'flush' ? 1 : 2;
  }

  /** Sends a write; `acknowledged` is called when the target has applied it. The bytes must not change until then. */
  write(offsetBytes: number, bytes: Uint8Array, acknowledged: () => void): void {
    const lengthBytes = bytes.byteLength;
    const sequence = this.#track({ offsetBytes, lengthBytes, windowBytes: lengthBytes, acknowledged });
    this.#options.data.send('write', sequence, offsetBytes, bytes);
  }

  /** Sends zeroes as a write. They take no room in the window. A peer that has no message for them gets them as bytes, in as many writes as that takes. */
  zeroes({ offsetBytes, lengthBytes, noHole }: ZeroesRange, acknowledged: () => void): void {
    const { data } = this.#options;
    if (data.features.has('zeroes')) {
      data.send(
        'zeroes',
        this.#track({ offsetBytes, lengthBytes, windowBytes: 0, acknowledged }),
        offsetBytes,
        encodeZeroes({ lengthBytes, noHole }),
      );
      return;
    }
    for (let atBytes = 0; atBytes < lengthBytes; atBytes += maxBodyBytes) {
      const pieceBytes = Math.min(maxBodyBytes, lengthBytes - atBytes);
      const last = atBytes + pieceBytes === lengthBytes;
      this.write(offsetBytes + atBytes, zeroBytes.subarray(0, pieceBytes), last ? acknowledged : () => undefined);
    }
  }

  /** Sends a resync write, in the same order as the writes (rule resync.newer). */
  resync(offsetBytes: number, bytes: Uint8Array, acknowledged: () => void): void {
    const lengthBytes = bytes.byteLength;
    const sequence = this.#track({ offsetBytes, lengthBytes, resyncBytes: lengthBytes, acknowledged });
    this.#options.data.send('resync', sequence, offsetBytes, bytes);
  }

  /** Asks for durability of everything sent so far; `flushed` is called when the target has confirmed it. */
  flush(flushed: () => void): void {
    this.#flushes += 1;
    this.#flushing.set(this.#flushes, { written: this.#written, flushed });
    this.#written = new Set();
    this.#options.data.send('flush', this.#flushes);
  }

  /** Everything written through this session is confirmed durable. */
  get settled(): boolean {
    return this.#head === this.#sent.length && this.#written.size === 0 && this.#flushing.size === 0;
  }

  /** Whether the target's element alone can be served through. */
  get mayDetach(): boolean {
    return this.fetches.supported && this.fetches.uptodate && this.#options.data.features.has('diskless');
  }

  /** From this place in the stream on the target alone holds everything; `detached` is called when that is durable, and all before it. */
  detach(generation: string, detached: () => void): void {
    this.#detached = detached;
    this.#options.data.sendJson('detach', { generation });
  }

  /** Offers the lineage; the answer comes by `adopted`. */
  adopt(lineage: unknown): void {
    this.#options.data.sendJson('adopt', lineage);
  }

  /** Extents that the target may lack: to be marked dirty when the connection is lost. */
  *unconfirmed(): Generator<number> {
    for (const { written } of this.#flushing.values()) yield* written;
    yield* this.#written;
  }

  /** Takes one message of the target. Throws `HM_PROTOCOL` on what makes no sense. */
  message(message: Message): void {
    switch (message.name as string) {
      case 'ack':
        this.#acknowledge(message.a);
        return;
      case 'flushed': {
        const flush = this.#flushing.get(message.a);
        if (!flush) throw malformed(`a flush was confirmed that was not asked for: ${String(message.a)}`);
        this.#flushing.delete(message.a);
        flush.flushed();
        return;
      }
      case 'adopted':
        this.#options.adopted();
        return;
      case 'detached': {
        const detached = this.#detached;
        if (!detached) throw malformed('a source was detached from that did not ask for it');
        this.#detached = null;
        detached();
        return;
      }
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
  #track({ offsetBytes, lengthBytes, windowBytes = 0, resyncBytes = 0, acknowledged }: Sending): number {
    const { extentBytes, counters } = this.#options;
    if (resyncBytes > 0) {
      counters.resync.sentBytes += resyncBytes;
    } else {
      counters.replication.sentWrites += 1;
      counters.replication.sentBytes += lengthBytes;
    }
    this.#sequence += 1;
    this.#windowBytes += windowBytes;
    this.#resyncBytes += resyncBytes;
    this.#sent.push({ sequence: this.#sequence, windowBytes, resyncBytes, acknowledged });
    const last = Math.floor((offsetBytes + lengthBytes - 1) / extentBytes);
    for (let extent = Math.floor(offsetBytes / extentBytes); extent <= last; extent += 1) this.#written.add(extent);
    return this.#sequence;
  }

  #acknowledge(sequence: number): void {
    if (sequence > this.#sequence) throw malformed(`a write was acknowledged that was not sent: ${String(sequence)}`);
    for (let sent = this.#sent[this.#head]; sent && sent.sequence <= sequence; sent = this.#sent[this.#head]) {
      this.#head += 1;
      this.#windowBytes -= sent.windowBytes;
      this.#resyncBytes -= sent.resyncBytes;
      sent.acknowledged();
    }
    // Acknowledged entries are dropped in bulk: shifting one at a time costs more than it saves.
    if (this.#head > this.#sent.length / 2) {
      this.#sent = this.#sent.slice(this.#head);
      this.#head = 0;
    }
    this.#options.room();
  }
}
