import { ChunkHold } from './chunk-pool.ts';
import type { Chunk, ChunkPool } from './chunk-pool.ts';
import { commands, magic, sizes } from './protocol.ts';

/** A request as it came in. The object is used again for the next one. */
export interface NbdRequest {
  flags: number;
  command: number;
  /** By which the client knows the reply: 64 bits, in two halves. */
  cookieHigh: number;
  cookieLow: number;
  /** Imprecise above 2^53, where no device reaches. */
  offsetBytes: number;
  lengthBytes: number;
}

/** What a {@link RequestReader} hands its requests to. */
export interface RequestHandler {
  /** Whether one more request, with so many bytes that come or go with it, may be taken now; where not, `resume` is to be called once it may. */
  mayTake(request: NbdRequest, carriedBytes: number): boolean;
  /** Whether a write will not be carried out: its bytes are skipped. */
  refusesWrite(request: NbdRequest): boolean;
  /** The bytes of a write that is refused have come: it may be answered. */
  refuseWrite(request: NbdRequest): void;
  /** `payload` of a write lies in `chunk`, which has one user more for it, or in memory of its own. */
  request(request: NbdRequest, payload: Uint8Array, chunk: Chunk | null): void;
  /** What came is not this protocol: nothing more is read. */
  malformed(because: string): void;
}

/** A write that gets memory of its own. */
interface LargeWrite {
  readonly bytes: Uint8Array;
  /** Of which that is a part; null: of none. */
  readonly chunk: Chunk | null;
  at: number;
}

/** A write of more than that, which has not arrived as a whole, gets memory of its own. */
const largeBytes = 64 * 2 ** 10;
/** With less room than that a chunk is left for the next. */
const leastRoomBytes = 64 * 2 ** 10;
/** In front of what is read into a chunk, for what is left of the one before. */
const headroomBytes = largeBytes + sizes.request;
const noBytes = new Uint8Array(0);
const twoTo32 = 2 ** 32;

/**
 * Takes the requests of one connection out of what is read from its socket, in place: where the next bytes go is asked with `buffer`, and `filled` tells how many
 * came. Nothing is copied but what lies across the end of a chunk, and the beginning of a large write.
 */
export class RequestReader {
  readonly #pool: ChunkPool;
  readonly #handler: RequestHandler;
  readonly #hold: ChunkHold;
  #view: DataView;
  /** What of the chunk is looked at, and what is filled. */
  #from = 0;
  #to = 0;
  /** A large write of which only a part has come. */
  #large: LargeWrite | null = null;
  /** The chunk after this one, where it was offered. */
  #next: Chunk | null = null;
  /** What the memory is part of that was offered last. */
  #offered: LargeWrite | 'chunk' | 'next' = 'chunk';
  #closed = false;
  /** Bytes of a refused write that are still to come. */
  #skipBytes = 0;
  #refusing = false;
  #stopped = false;
  #ended = false;
  readonly #request: NbdRequest = { flags: 0, command: 0, cookieHigh: 0, cookieLow: 0, offsetBytes: 0, lengthBytes: 0 };

  constructor(pool: ChunkPool, handler: RequestHandler) {
    this.#pool = pool;
    this.#handler = handler;
    this.#hold = new ChunkHold(pool);
    this.#view = viewOf(this.#chunk);
  }

  /** What the chunks take that have writes in them which were handed over and not released. */
  get heldBytes(): number {
    return this.#hold.heldBytes;
  }

  /** Where the next bytes go. They may come at any time from now on, also after the end: until then no place in memory changes its meaning. */
  buffer(): Uint8Array {
    this.#offered = this.#large ?? (this.#next && 'next') ?? 'chunk';
    if (this.#large) return this.#large.bytes.subarray(this.#large.at);
    if (this.#next) return this.#next.bytes.subarray(headroomBytes);
    if (this.#from === this.#to && this.#chunk.users === 0) this.#from = this.#to = 0;
    if (this.#chunk.bytes.byteLength - this.#to >= leastRoomBytes) return this.#chunk.bytes.subarray(this.#to);
    this.#offered = 'next';
    this.#next = this.#pool.take();
    return this.#next.bytes.subarray(headroomBytes);
  }

  /** So many bytes came. False: no more is to be read until `resume`. */
  filled(lengthBytes: number): boolean {
    if (this.#ended) return false;
    if (this.#offered === 'next') this.#turnOver(lengthBytes);
    else if (this.#offered === 'chunk') this.#to += lengthBytes;
    else this.#offered.at += lengthBytes;
    this.#parse();
    return !this.#mayNotRead();
  }

  /** There is room again. Returns whether more is to be read. */
  resume(): boolean {
    if (this.#ended) return false;
    this.#stopped = false;
    this.#parse();
    return !this.#mayNotRead();
  }

  /** Nothing is taken any more. What was offered may still be read into, until `close`. */
  end(): void {
    this.#ended = true;
  }

  /** Nothing is read any more. */
  close(): void {
    if (this.#closed) return;
    this.#ended = this.#closed = true;
    if (this.#next) this.#pool.give(this.#next);
    this.#next = null;
    if (this.#large?.chunk) this.release(this.#large.chunk, this.#large.bytes.byteLength);
    this.#large = null;
    this.#hold.close();
  }

  /** A write of so many bytes needs its chunk no more. */
  release(chunk: Chunk, lengthBytes: number): void {
    this.#hold.release(chunk, lengthBytes);
  }

  get #chunk(): Chunk {
    return this.#hold.current;
  }

  #mayNotRead(): boolean {
    return this.#stopped || this.#ended;
  }

  #parse(): void {
    while (!this.#mayNotRead()) {
      if (this.#large && !this.#topUp(this.#large)) break;
      if (this.#refusing && !this.#skip()) break;
      if (this.#to - this.#from < sizes.request || !this.#take()) break;
    }
  }

  /** Whether a large write has come as a whole by now, and was handed over. What came behind its beginning may lie in the chunk. */
  #topUp(large: LargeWrite): boolean {
    const { bytes } = large;
    const movedBytes = Math.min(bytes.byteLength - large.at, this.#to - this.#from);
    bytes.set(this.#chunk.bytes.subarray(this.#from, this.#from + movedBytes), large.at);
    this.#from += movedBytes;
    large.at += movedBytes;
    if (large.at < bytes.byteLength) return false;
    this.#large = null;
    this.#handler.request(this.#request, bytes, large.chunk);
    return true;
  }

  /** Whether all of a refused write has come by now, and it was answered: clients take an answer to what they have not sent yet for a mistake. */
  #skip(): boolean {
    const bytes = Math.min(this.#skipBytes, this.#to - this.#from);
    this.#skipBytes -= bytes;
    this.#from += bytes;
    if (this.#skipBytes > 0) return false;
    this.#refusing = false;
    this.#handler.refuseWrite(this.#request);
    return true;
  }

  /** Whether the next request was taken. */
  #take(): boolean {
    const request = this.#readHeader();
    if (!request) return false;
    const { command, lengthBytes } = request;
    if (command !== commands.write) {
      if (!this.#admit(request, command === commands.read ? lengthBytes : 0)) return false;
      this.#from += sizes.request;
      this.#handler.request(request, noBytes, null);
      return true;
    }
    if (!this.#admit(request, 0)) return false;
    if (this.#handler.refusesWrite(request)) {
      this.#from += sizes.request;
      this.#skipBytes = lengthBytes;
      this.#refusing = true;
      return true;
    }
    if (!this.#admit(request, lengthBytes)) return false;
    const begin = this.#from + sizes.request;
    const end = begin + lengthBytes;
    if (end > this.#to) {
      if (lengthBytes <= largeBytes) return false;
      // The header stays in `#request` until the rest has come: nothing else is parsed meanwhile.
      this.#large = this.#memoryFor(lengthBytes);
      this.#from = begin;
      return true;
    }
    this.#from = end;
    this.#hold.use(lengthBytes);
    this.#handler.request(request, this.#chunk.bytes.subarray(begin, end), this.#chunk);
    return true;
  }

  #memoryFor(lengthBytes: number): LargeWrite {
    const { chunkBytes } = this.#pool;
    // A small write would keep many times its length.
    if (lengthBytes > chunkBytes || lengthBytes < chunkBytes / 2) return { bytes: Buffer.allocUnsafeSlow(lengthBytes), chunk: null, at: 0 };
    const chunk = this.#hold.takeWhole();
    return { bytes: chunk.bytes.subarray(0, lengthBytes), chunk, at: 0 };
  }

  #admit(request: NbdRequest, carriedBytes: number): boolean {
    if (this.#handler.mayTake(request, carriedBytes)) return true;
    this.#stopped = true;
    return false;
  }

  #readHeader(): NbdRequest | null {
    const [view, at, request] = [this.#view, this.#from, this.#request];
    if (view.getUint32(at) !== magic.request) {
      this.#ended = true;
      this.#handler.malformed('a request does not begin as one');
      return null;
    }
    request.flags = view.getUint16(at + 4);
    request.command = view.getUint16(at + 6);
    request.cookieHigh = view.getUint32(at + 8);
    request.cookieLow = view.getUint32(at + 12);
    request.offsetBytes = view.getUint32(at + 16) * twoTo32 + view.getUint32(at + 20);
    request.lengthBytes = view.getUint32(at + 24);
    return request;
  }

  /** Goes on in the chunk that was offered, behind what was not looked at yet: less than a header and a write that is not large, or nothing would have been read. */
  #turnOver(lengthBytes: number): void {
    const left = this.#chunk.bytes.subarray(this.#from, this.#to);
    const next = this.#next ?? this.#pool.take();
    next.bytes.set(left, headroomBytes - left.byteLength);
    this.#hold.turnOver(next);
    this.#next = null;
    this.#view = viewOf(next);
    this.#from = headroomBytes - left.byteLength;
    this.#to = headroomBytes + lengthBytes;
  }
}

function viewOf({ bytes }: Chunk): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
