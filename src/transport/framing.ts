import { crc32 } from 'node:zlib';

import { HotMirrorError } from '../errors.ts';
import { checkFrameLength, joined, totalLength } from './frame-bytes.ts';

/** Bytes of a frame before its payload: length and kind, sequence, CRC-32 of both and of the payload; each 32 bits, little-endian. */
export const frameHeaderBytes = 12;

const sequenceAt = 4;
const crcAt = 8;
const goodbyeBit = 0x8000_0000;
/** A frame that is assembled and longer than that has memory of its own. */
const keptBytes = 4 * 2 ** 20;

/** A frame of the user, or the last one of a side that closes in order. */
export type FrameKind = 'frame' | 'goodbye';

/** Protects payloads on their way; see `sealing.ts`. Each call counts: both ends must do the same calls in the same order. */
export interface Sealer {
  /** Bytes that a sealed payload is longer. */
  readonly overheadBytes: number;
  seal(parts: readonly Uint8Array[], kind: FrameKind): readonly Uint8Array[];
}

/** The other half of a {@link Sealer}. */
export interface Opener {
  readonly overheadBytes: number;
  /** Throws `HotMirrorError` where the payload is not what was sealed. */
  open(payload: Uint8Array, kind: FrameKind): Uint8Array;
}

/** Makes frames. One per direction of a connection. */
export class FrameEncoder {
  readonly #maxFrameBytes: number;
  readonly #sealer: Sealer | null;
  #sequence = 0;

  constructor(maxFrameBytes: number, sealer: Sealer | null = null) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#sealer = sealer;
  }

  /** The parts, joined, as one frame: a header and, without a sealer, the very parts. Throws `RangeError` above the limit. */
  frame(parts: readonly Uint8Array[]): readonly Uint8Array[] {
    checkFrameLength(totalLength(parts), this.#maxFrameBytes);
    return this.#encode(parts, 'frame');
  }

  /** The last frame of this side. */
  goodbye(): readonly Uint8Array[] {
    return this.#encode([], 'goodbye');
  }

  #encode(parts: readonly Uint8Array[], kind: FrameKind): readonly Uint8Array[] {
    const payload = this.#sealer ? this.#sealer.seal(parts, kind) : parts;
    const header = Buffer.allocUnsafe(frameHeaderBytes);
    const length = totalLength(payload);
    header.writeUInt32LE(kind === 'goodbye' ? length + goodbyeBit : length, 0);
    header.writeUInt32LE(this.#sequence, sequenceAt);
    header.writeUInt32LE(checksum(header, payload), crcAt);
    this.#sequence = (this.#sequence + 1) >>> 0;
    return [header, ...payload];
  }
}

/**
 * Takes frames out of a stream of bytes, whatever its pieces. A frame that lies wholly within a piece is given out in place;
 * another one is assembled once, in a buffer that is made only after its length was found within the limit.
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number;
  readonly #opener: Opener | null;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #headerBytes = 0;
  #payload: Buffer | null = null;
  #payloadBytes = 0;
  /** Of frames that are assembled. */
  #memory: Buffer = Buffer.alloc(0);
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  #sequence = 0;
  #ended = false;

  constructor(maxFrameBytes: number, opener: Opener | null = null) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#opener = opener;
  }

  /** The goodbye arrived. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes the next piece. It is used in place until `next` gives null or `keep` is called. */
  feed(chunk: Uint8Array): void {
    if (this.#at < this.#chunk.length) this.#chunk = joined([this.#rest(), chunk]);
    else this.#chunk = chunk;
    this.#at = 0;
  }

  /** Copies what is left of the piece, because its memory is needed again before the next call of `next`. */
  keep(): void {
    if (this.#at < this.#chunk.length) this.#chunk = this.takeRest();
  }

  /** Gives out what no frame was made of yet, copied, and forgets it. To be called between frames. */
  takeRest(): Uint8Array {
    const rest = joined([this.#rest()]);
    this.#chunk = new Uint8Array(0);
    this.#at = 0;
    return rest;
  }

  /**
   * The next whole frame, valid until `feed` or `next` is called again, or null when more bytes are needed or the goodbye came.
   * Throws `HM_FRAME_TOO_LONG`, `HM_BAD_CHECKSUM`, `HM_OUT_OF_SEQUENCE`; after that the stream is not to be used any more.
   */
  next(): Uint8Array | null {
    if (this.#ended || !this.#takeHeader()) return null;
    const word = this.#header.readUInt32LE(0);
    const kind = word >= goodbyeBit ? 'goodbye' : 'frame';
    const length = word % goodbyeBit;
    const overheadBytes = this.#opener?.overheadBytes ?? 0;
    if (length > this.#maxFrameBytes + overheadBytes || (kind === 'goodbye' && length > overheadBytes)) {
      throw new HotMirrorError(
        'HM_FRAME_TOO_LONG',
        `a ${kind} of ${String(length)} bytes was announced; at most ${String(this.#maxFrameBytes)} may come`,
      );
    }
    const payload = this.#takePayload(length);
    if (!payload) return null;
    this.#headerBytes = 0;
    this.#check(payload);
    const bytes = this.#opener ? this.#opener.open(payload, kind) : payload;
    this.#ended = kind === 'goodbye';
    return this.#ended ? null : bytes;
  }

  #rest(): Uint8Array {
    return this.#chunk.subarray(this.#at);
  }

  #takeHeader(): boolean {
    this.#headerBytes += this.#copyTo(this.#header, this.#headerBytes);
    return this.#headerBytes === frameHeaderBytes;
  }

  #takePayload(length: number): Uint8Array | null {
    if (!this.#payload && this.#chunk.length - this.#at >= length) {
      this.#at += length;
      return this.#chunk.subarray(this.#at - length, this.#at);
    }
    const payload = (this.#payload ??= this.#memoryFor(length));
    this.#payloadBytes += this.#copyTo(payload, this.#payloadBytes);
    if (this.#payloadBytes < length) return null;
    this.#payload = null;
    this.#payloadBytes = 0;
    return payload;
  }

  /** The memory of the frame before, where that is enough: nobody has that frame any more. */
  #memoryFor(length: number): Buffer {
    if (length > keptBytes) return Buffer.allocUnsafeSlow(length);
    if (this.#memory.byteLength < length)
      this.#memory = Buffer.allocUnsafeSlow(Math.min(keptBytes, Math.max(length, 2 * this.#memory.byteLength)));
    return this.#memory.subarray(0, length);
  }

  /** Fills `target` from `filled` on, as far as the piece goes; returns how many bytes that were. */
  #copyTo(target: Buffer, filled: number): number {
    const count = Math.min(target.length - filled, this.#chunk.length - this.#at);
    target.set(this.#chunk.subarray(this.#at, this.#at + count), filled);
    this.#at += count;
    return count;
  }

  #check(payload: Uint8Array): void {
    if (checksum(this.#header, [payload]) !== this.#header.readUInt32LE(crcAt))
      throw new HotMirrorError('HM_BAD_CHECKSUM', `frame ${String(this.#sequence)} arrived damaged`);
    const sequence = this.#header.readUInt32LE(sequenceAt);
    if (sequence !== this.#sequence) {
      throw new HotMirrorError('HM_OUT_OF_SEQUENCE', `frame ${String(sequence)} arrived in place of frame ${String(this.#sequence)}`);
    }
    this.#sequence = (sequence + 1) >>> 0;
  }
}

/** The CRC-32 of the header before it and of the payload. */
function checksum(header: Uint8Array, payload: readonly Uint8Array[]): number {
  let crc = crc32(header.subarray(0, crcAt));
  // An empty array may have no memory at all, which zlib takes for the wish to begin anew.
  for (const part of payload) if (part.length > 0) crc = crc32(part, crc);
  return crc;
}
