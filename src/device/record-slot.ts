import { crc32 } from 'node:zlib';

/**
 * One copy of a durable record on disk, integers little-endian:
 *
 * | bytes | field |
 * |---|---|
 * | 0–7 | magic, ASCII |
 * | 8–11 | version |
 * | 12–15 | payload length |
 * | 16–23 | sequence number; 0 says that nothing was written yet |
 * | 24–27 | CRC-32 of bytes 0–23 and the payload |
 * | 28–31 | zero |
 * | 32– | payload, then zeroes to the end of the block |
 */
const versionAt = 8;
const lengthAt = 12;
const sequenceAt = 16;
const checksumAt = 24;

/** Length of the magic. */
export const magicBytes = 8;
/** Length of what precedes the payload. */
export const headerBytes = 32;

/** The sequence number of a copy that says that nothing was written yet. */
export const emptySequence = 0;

/** What a copy must say about itself. */
export interface SlotKind {
  /** Eight printable ASCII characters that name the kind of record. */
  readonly magic: string;
  /** Version of the payload's format that this build writes; it reads this and older ones. */
  readonly version: number;
}

/**
 * What one copy on disk is: `blank` all zero; `headless` zero in the block of the header only, which is what a first write cut short leaves;
 * `valid`; `damaged`; or `unreadable`, whatever it held.
 */
export type SlotState =
  | { readonly state: 'blank' }
  | { readonly state: 'headless' }
  | { readonly state: 'damaged' | 'unreadable'; readonly because: string }
  | { readonly state: 'valid'; readonly version: number; readonly sequence: number; readonly payload: Uint8Array };

/** The longest payload of a copy of `slotBytes`. */
export function capacityBytes(slotBytes: number): number {
  return slotBytes - headerBytes;
}

/** The bytes of a copy, in whole blocks. */
export function encodeSlot(kind: SlotKind, sequence: number, payload: Uint8Array, blockSizeBytes: number): Uint8Array {
  const lengthBytes = Math.ceil((headerBytes + payload.byteLength) / blockSizeBytes) * blockSizeBytes;
  const bytes = new Uint8Array(lengthBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from(kind.magic, 'ascii'), 0);
  view.setUint32(versionAt, kind.version, true);
  view.setUint32(lengthAt, payload.byteLength, true);
  view.setBigUint64(sequenceAt, BigInt(sequence), true);
  view.setUint32(checksumAt, checksum(bytes, payload), true);
  bytes.set(payload, headerBytes);
  return bytes;
}

/** Judges the bytes of a whole slot. The payload of a valid one is a part of `bytes`. */
export function judgeSlot(kind: SlotKind, bytes: Uint8Array, blockSizeBytes: number): SlotState {
  if (isZero(bytes.subarray(0, blockSizeBytes))) return { state: isZero(bytes) ? 'blank' : 'headless' };
  const magic = Buffer.from(bytes.subarray(0, magicBytes)).toString('latin1');
  if (magic !== kind.magic) return { state: 'damaged', because: `magic ${JSON.stringify(magic)}` };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lengthBytes = view.getUint32(lengthAt, true);
  if (lengthBytes > capacityBytes(bytes.byteLength)) return { state: 'damaged', because: `length ${String(lengthBytes)}` };
  const payload = bytes.subarray(headerBytes, headerBytes + lengthBytes);
  if (view.getUint32(checksumAt, true) !== checksum(bytes, payload)) return { state: 'damaged', because: 'wrong checksum' };
  const sequence = Number(view.getBigUint64(sequenceAt, true));
  if (!Number.isSafeInteger(sequence) || (sequence === emptySequence && lengthBytes > 0))
    return { state: 'damaged', because: `sequence ${String(sequence)}` };
  return { state: 'valid', version: view.getUint32(versionAt, true), sequence, payload };
}

function checksum(header: Uint8Array, payload: Uint8Array): number {
  return crc32(payload, crc32(header.subarray(0, checksumAt)));
}

/** The first byte is zero, and each other one is as the one before it: compared in one go. */
function isZero(bytes: Uint8Array): boolean {
  return bytes[0] === 0 && Buffer.compare(bytes.subarray(1), bytes.subarray(0, -1)) === 0;
}
