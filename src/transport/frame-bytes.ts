/** The length of the parts together. */
export function totalLength(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

/** A fresh copy of the parts, joined. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(totalLength(parts));
  joinInto(bytes, parts);
  return bytes;
}

/** Copies the parts, one behind the other, into memory that is long enough. */
export function joinInto(bytes: Uint8Array, parts: readonly Uint8Array[]): void {
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
}

/** Throws the `RangeError` of `Connection.send`. */
export function checkFrameLength(length: number, maxFrameBytes: number): void {
  if (length > maxFrameBytes) throw new RangeError(`a frame of ${String(length)} bytes is longer than ${String(maxFrameBytes)}`);
}
