import { randomBytes } from 'node:crypto';

import type { Random } from './random.ts';

const fractionBits = 32;

/** The machine's own cryptographic randomness. */
export const systemRandom: Random = Object.freeze({
  bytes: (length: number) => new Uint8Array(randomBytes(length)),
  fraction: () => randomBytes(4).readUInt32LE() / 2 ** fractionBits,
});
