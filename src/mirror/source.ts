import type { HotMirrorError } from '../errors.ts';
import type { DataConnection } from './data-connection.ts';
import { malformed } from './wire.ts';
import type { Message } from './wire.ts';

/** What a source session needs to know of its mirror. */
export interface SourceSessionOptions {
  readonly data: DataConnection;
  readonly extentBytes: number;
  readonly windowBytes: number;
  readonly resyncWindowBytes: number;
  /** There is room in a window again. */
  readonly room: () => void;
  /** The target has taken over the lineage. */
  readonly adopted: () => void;
}

interface Sent {
  readonly sequence: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly resync: boolean;
  readonly acknowledged: () => void;
}

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
  readonly #options: SourceSessionOptions;
  #sequence = 0;
  #flushes = 0;
  /** Sent and not acknowledged, in order; `#head` is the first that counts. */
  #sent: Sent[] = [];
  #head = 0;
  #windowBytes = 0;
  #resyncBytes = 0;
  #written = new Set<number>();
  readonly #flushing = new Map<number, SentFlush>();

  constructor(options: SourceSessionOptions) {
    this.#options = options;
  }

  get connectionId(): string {
    return this.#options.data.id;
  }

  /** Whether a write may be sent now. One that is larger than the window may go alone. */
  hasRoom(lengthBytes: number): boolean {
    return this.#options.data.writable && (this.#windowBytes === 0 || this.#windowBytes + lengthBytes <= this.#options.windowBytes);
  }

  /** Whether a resync write may be sent now. */
  hasResyncRoom(lengthBytes: number): boolean {
    return this.#options.data.writable && (this.#resyncBytes === 0 || this.#resyncBytes + lengthBytes <= this.#options.resyncWindowBytes);
  }

  /** Sends a write; `acknowledged` is called when the target has applied it. The bytes must not change until then. */
  write(offsetBytes: number, bytes: Uint8Array, acknowledged: () => void): void {
    this.#windowBytes += bytes.byteLength;
    this.#send('write', offsetBytes, bytes, acknowledged);
  }

  /** Sends a resync write, in the same order as the writes (rule resync.newer). */
  resync(offsetBytes: number, bytes: Uint8Array, acknowledged: () => void): void {
    this.#resyncBytes += bytes.byteLength;
    this.#send('resync', offsetBytes, bytes, acknowledged);
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
      default:
        throw malformed(`a source cannot take ${message.name}`);
    }
  }

  /** Ends the connection because of what this side found out. */
  refuse(error: HotMirrorError): void {
    this.#options.data.refuse(error);
  }

  #send(name: 'write' | 'resync', offsetBytes: number, bytes: Uint8Array, acknowledged: () => void): void {
    const lengthBytes = bytes.byteLength;
    this.#sequence += 1;
    this.#sent.push({ sequence: this.#sequence, offsetBytes, lengthBytes, resync: name === 'resync', acknowledged });
    const { extentBytes, data } = this.#options;
    const last = Math.floor((offsetBytes + lengthBytes - 1) / extentBytes);
    for (let extent = Math.floor(offsetBytes / extentBytes); extent <= last; extent += 1) this.#written.add(extent);
    data.send(name, this.#sequence, offsetBytes, bytes);
  }

  #acknowledge(sequence: number): void {
    if (sequence > this.#sequence) throw malformed(`a write was acknowledged that was not sent: ${String(sequence)}`);
    for (let sent = this.#sent[this.#head]; sent && sent.sequence <= sequence; sent = this.#sent[this.#head]) {
      this.#head += 1;
      if (sent.resync) this.#resyncBytes -= sent.lengthBytes;
      else this.#windowBytes -= sent.lengthBytes;
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
