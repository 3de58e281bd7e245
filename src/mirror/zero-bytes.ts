import { maxBodyBytes } from './wire.ts';

/** What zeroes are written as for a peer that has no message for them. Never written to. */
export const zeroBytes: Uint8Array = new Uint8Array(maxBodyBytes);

const zeroes = Buffer.alloc(65_536);

/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.byteLength; at += zeroes.byteLength) {
    const piece = bytes.subarray(at, at + zeroes.byteLength);
    if (zeroes.compare(piece, 0, piece.byteLength, 0, piece.byteLength) !== 0) return false;
  }
  return true;
}
