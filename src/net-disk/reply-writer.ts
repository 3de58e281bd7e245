import type { AllocationPiece } from '../device/block-device.ts';
import { ChunkHold } from './chunk-pool.ts';
import type { Chunk, ChunkPool } from './chunk-pool.ts';
import { allocationStates, chunks, errors, magic, replyFlagDone, sizes } from './protocol.ts';
import type { ReplyError } from './protocol.ts';

/** A reply with data, of which the data is still being read. */
export interface DataReply {
  /** Where the data goes. */
  readonly into: Uint8Array;
  /** Header and data. */
  readonly whole: Uint8Array;
  /** Null: it has memory of its own. */
  readonly chunk: Chunk | null;
  /** The chunk goes on behind it: it is sent by itself. */
  detached: boolean;
}

/** Something that is ready to be sent. */
interface Segment {
  readonly bytes: Uint8Array;
  readonly chunk: Chunk | null;
}

/** Where replies go. */
export interface ReplySink {
  /** Sends all of it, in order, in one call if it can. Returns whether the memory is free again; if not, `sent` follows. */
  send(parts: readonly Uint8Array[]): boolean;
}

/** A data reply with more than that gets memory of its own. */
const largeBytes = 256 * 2 ** 10;
const encoder = new TextEncoder();
const longestText = 256;

/**
 * Gathers the replies of one connection, so that many leave in one call: one behind the other in a chunk, in which what is read lands where it is sent from.
 */
export class ReplyWriter {
  readonly #pool: ChunkPool;
  readonly #sink: ReplySink;
  readonly #structured: boolean;
  readonly #hold: ChunkHold;
  #view: DataView;
  /** What of the chunk is ready and not handed over yet. */
  #from = 0;
  #to = 0;
  #ready: Segment[] = [];
  /** Handed over, and not free yet. */
  #unsent: Segment[] = [];
  #readyBytes = 0;
  /** Data replies with memory of their own, from `begin` until it is free again. */
  #ownBytes = 0;

  constructor(pool: ChunkPool, sink: ReplySink, { structured }: { readonly structured: boolean }) {
    this.#pool = pool;
    this.#sink = sink;
    this.#structured = structured;
    this.#hold = new ChunkHold(pool);
    this.#view = viewOf(this.#chunk.bytes);
  }

  /** What takes memory until it has left: data that is being read, what is gathered, and what is handed over. */
  get heldBytes(): number {
    return this.#hold.heldBytes + this.#ownBytes + this.#to - this.#from;
  }

  /** What is ready and not handed over. */
  get gatheredBytes(): number {
    return this.#readyBytes + this.#to - this.#from;
  }

  /** It is done, or it is not. A reason is told where replies are structured. */
  done(cookieHigh: number, cookieLow: number, error: ReplyError, because = ''): void {
    if (this.#structured && error !== errors.none) {
      const text = encoder.encode(because.slice(0, longestText));
      const at = this.#chunkHeader({ kind: chunks.error, cookieHigh, cookieLow, payloadBytes: 6 + text.byteLength });
      this.#view.setUint32(at, error);
      this.#view.setUint16(at + 4, text.byteLength);
      this.#chunk.bytes.set(text, at + 6);
      return;
    }
    const at = this.#take(sizes.simpleReply);
    this.#view.setUint32(at, magic.simpleReply);
    this.#view.setUint32(at + 4, error);
    this.#view.setUint32(at + 8, cookieHigh);
    this.#view.setUint32(at + 12, cookieLow);
  }

  /** What is allocated, piece by piece (`base:allocation`): at least one. */
  blockStatus(cookieHigh: number, cookieLow: number, context: number, pieces: readonly AllocationPiece[]): void {
    const payloadBytes = sizes.statusContext + pieces.length * sizes.statusDescriptor;
    let at = this.#chunkHeader({ kind: chunks.blockStatus, cookieHigh, cookieLow, payloadBytes });
    this.#view.setUint32(at, context);
    at += sizes.statusContext;
    for (const { lengthBytes, hole } of pieces) {
      this.#view.setUint32(at, lengthBytes);
      this.#view.setUint32(at + 4, hole ? allocationStates.hole | allocationStates.zero : 0);
      at += sizes.statusDescriptor;
    }
  }

  /** Room for so much data and its header. `finish` or `giveUp` is to follow, `detach` before anything else is written where that takes a while. */
  begin(lengthBytes: number): DataReply {
    const headerBytes = this.#structured ? sizes.chunkHeader + sizes.chunkOffset : sizes.simpleReply;
    const wholeBytes = headerBytes + lengthBytes;
    if (wholeBytes > largeBytes) {
      const whole = Buffer.allocUnsafeSlow(wholeBytes);
      this.#ownBytes += wholeBytes;
      return { whole, into: whole.subarray(headerBytes), chunk: null, detached: true };
    }
    const at = this.#take(wholeBytes);
    const whole = this.#chunk.bytes.subarray(at, at + wholeBytes);
    return { whole, into: whole.subarray(headerBytes), chunk: this.#chunk, detached: false };
  }

  /** The data will take a while, and other replies are not to wait for it. */
  detach(reply: DataReply): void {
    if (reply.detached || !reply.chunk) return;
    const { byteLength } = reply.whole;
    reply.detached = true;
    this.#to -= byteLength;
    this.#seal();
    this.#hold.use(byteLength);
    this.#from = this.#to = this.#to + byteLength;
  }

  /** The data is there. */
  finish(reply: DataReply, request: { readonly cookieHigh: number; readonly cookieLow: number; readonly offsetBytes: number }): void {
    const { cookieHigh, cookieLow, offsetBytes } = request;
    const view = viewOf(reply.whole);
    if (this.#structured) {
      writeChunkHeader(view, 0, {
        kind: chunks.offsetData,
        cookieHigh,
        cookieLow,
        payloadBytes: sizes.chunkOffset + reply.into.byteLength,
      });
      view.setBigUint64(sizes.chunkHeader, BigInt(offsetBytes));
    } else {
      view.setUint32(0, magic.simpleReply);
      view.setUint32(4, errors.none);
      view.setUint32(8, cookieHigh);
      view.setUint32(12, cookieLow);
    }
    if (reply.detached) this.#push({ bytes: reply.whole, chunk: reply.chunk });
  }

  /** There is no data: an error is told in its place. */
  giveUp(reply: DataReply): void {
    if (reply.detached) this.#release({ bytes: reply.whole, chunk: reply.chunk });
    else this.#to -= reply.whole.byteLength;
  }

  /** Sends what is ready. */
  flush(): void {
    this.#seal();
    if (this.#ready.length === 0) return;
    const segments = this.#ready;
    this.#ready = [];
    this.#readyBytes = 0;
    if (this.#sink.send(segments.map(({ bytes }) => bytes))) {
      for (const segment of segments) this.#release(segment);
    } else this.#unsent.push(...segments);
  }

  /** All that was handed over has left. */
  sent(): void {
    const segments = this.#unsent;
    this.#unsent = [];
    for (const segment of segments) this.#release(segment);
  }

  get #chunk(): Chunk {
    return this.#hold.current;
  }

  #chunkHeader(header: ChunkHeader): number {
    const at = this.#take(sizes.chunkHeader + header.payloadBytes);
    writeChunkHeader(this.#view, at, header);
    return at + sizes.chunkHeader;
  }

  /** Where in the chunk so many bytes go. */
  #take(lengthBytes: number): number {
    if (this.#to + lengthBytes > this.#chunk.bytes.byteLength) this.#turnOver();
    const at = this.#to;
    this.#to += lengthBytes;
    return at;
  }

  /** What lies behind one another in the chunk becomes one segment. */
  #seal(): void {
    if (this.#from === this.#to) return;
    this.#hold.use(this.#to - this.#from);
    this.#push({ bytes: this.#chunk.bytes.subarray(this.#from, this.#to), chunk: this.#chunk });
    this.#from = this.#to;
  }

  #push(segment: Segment): void {
    this.#ready.push(segment);
    this.#readyBytes += segment.bytes.byteLength;
  }

  #turnOver(): void {
    this.#seal();
    this.#hold.turnOver(this.#pool.take());
    this.#view = viewOf(this.#chunk.bytes);
    this.#from = this.#to = 0;
  }

  #release({ bytes, chunk }: Segment): void {
    if (!chunk) {
      this.#ownBytes -= bytes.byteLength;
      return;
    }
    this.#hold.release(chunk, bytes.byteLength);
    if (chunk === this.#chunk && chunk.users === 0 && this.#from === this.#to) this.#from = this.#to = 0;
  }
}

interface ChunkHeader {
  readonly kind: number;
  readonly cookieHigh: number;
  readonly cookieLow: number;
  readonly payloadBytes: number;
}

/** The only chunk of its reply, always. */
function writeChunkHeader(view: DataView, at: number, { kind, cookieHigh, cookieLow, payloadBytes }: ChunkHeader): void {
  view.setUint32(at, magic.structuredReply);
  view.setUint16(at + 4, replyFlagDone);
  view.setUint16(at + 6, kind);
  view.setUint32(at + 8, cookieHigh);
  view.setUint32(at + 12, cookieLow);
  view.setUint32(at + 16, payloadBytes);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
