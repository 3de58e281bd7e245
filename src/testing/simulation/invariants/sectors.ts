import type { ApplicationRequest } from '../watcher.ts';

/** The unit of all judgements on content: no disk writes less at once. */
export const sectorBytes = 512;

/** 32 bits of one hash and 21 of another make a whole number that a double holds exactly. */
const secondHashBits = 21;
const wordBits = 32;

/** A whole number for the content of a sector; of two different contents it differs but for a chance of one in 2^53. */
export function digestSector(bytes: Uint8Array, atBytes: number): number {
  let first = 0x811c9dc5 | 0;
  let second = 0x9e3779b9 | 0;
  for (let at = atBytes; at < atBytes + sectorBytes; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    first = Math.imul(first ^ word, 0x01000193) ^ (first >>> 15);
    second = Math.imul((second << 13) | (second >>> 19), 5) ^ Math.imul(word, 0x85ebca6b);
  }
  return (first >>> 0) * 2 ** secondHashBits + (second >>> (wordBits - secondHashBits));
}

/** What a sector holds that was never written. */
export const zeroDigest: number = digestSector(new Uint8Array(sectorBytes), 0);

/** The number of the first sector of a range, and how many it has. */
export function sectorsOf(range: { readonly offsetBytes: number; readonly lengthBytes: number }): { first: number; count: number } {
  const first = Math.floor(range.offsetBytes / sectorBytes);
  return { first, count: Math.ceil((range.offsetBytes + range.lengthBytes) / sectorBytes) - first };
}

/** Several watchers look at the same request. */
const digests = new WeakMap<ApplicationRequest, readonly number[]>();

/** The digests of what a write writes, or of what a read brought; to be asked for a read when it has ended. */
export function digestsOf(request: ApplicationRequest): readonly number[] {
  let known = digests.get(request);
  if (!known) {
    known = Array.from({ length: request.bytes.byteLength / sectorBytes }, (_, sector) =>
      digestSector(request.bytes, sector * sectorBytes),
    );
    digests.set(request, known);
  }
  return known;
}
