/** A copy of the bytes, in memory of its own. `slice` is none where they are a `Buffer`: that gives the same memory. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
