import { createHash } from 'node:crypto';

/**
 * The digests by which elements may be compared, in the order of their numbers on the wire. Only such that nobody finds two contents for: what they call
 * the same is not copied.
 */
export const digestNames = ['sha256', 'sha512', 'blake2b512'] as const;

/** The name of a digest. */
export type DigestName = (typeof digestNames)[number];

const digestBytes: Readonly<Record<DigestName, number>> = { sha256: 32, sha512: 64, blake2b512: 64 };

/** How long the digests of a range are together. */
export function digestLength(name: DigestName, lengthBytes: number, extentBytes: number): number {
  return Math.ceil(lengthBytes / extentBytes) * digestBytes[name];
}

/** The digest of each extent of a range, one after the other. */
export function digestExtents(name: DigestName, bytes: Uint8Array, extentBytes: number): Uint8Array {
  const digests = new Uint8Array(digestLength(name, bytes.byteLength, extentBytes));
  for (let at = 0, to = 0; at < bytes.byteLength; at += extentBytes, to += digestBytes[name]) {
    digests.set(
      createHash(name)
        .update(bytes.subarray(at, at + extentBytes))
        .digest(),
      to,
    );
  }
  return digests;
}

/** For each extent of a range 1 where the digests differ, 0 where they are the same. */
export function compareDigests(name: DigestName, mine: Uint8Array, theirs: Uint8Array): Uint8Array {
  const size = digestBytes[name];
  const differing = new Uint8Array(mine.byteLength / size);
  for (let extent = 0; extent < differing.length; extent += 1) {
    const [from, to] = [extent * size, (extent + 1) * size];
    differing[extent] = Buffer.compare(mine.subarray(from, to), theirs.subarray(from, to)) === 0 ? 0 : 1;
  }
  return differing;
}
