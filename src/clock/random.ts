/** Chance, as every class of hotmirror takes it: real in `system-random.ts`, from a seed in `hotmirror/testing`. */
export interface Random {
  /** `length` fresh bytes, fit for nonces and keys in the real implementation. The caller owns them. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1), for jitter. */
  fraction(): number;
}

/** `length` random bytes as lower-case hexadecimal digits (two a byte). */
export function randomHex(random: Random, length: number): string {
  return Buffer.from(random.bytes(length)).toString('hex');
}
