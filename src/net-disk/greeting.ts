import { handshakeFlags, magic, sizes } from './protocol.ts';

/** What a server says first. */
export function greeting(): Uint8Array {
  const bytes = new Uint8Array(sizes.greeting);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, magic.server);
  view.setBigUint64(8, magic.option);
  view.setUint16(16, handshakeFlags.fixedNewstyle | handshakeFlags.noZeroes);
  return bytes;
}

/** What a client's flags say; null: it is to be left, for it wants what was not offered. */
export function readClientFlags(flags: number): { readonly fixedNewstyle: boolean; readonly noZeroes: boolean } | null {
  const { fixedNewstyle, noZeroes } = handshakeFlags;
  if ((flags & ~(fixedNewstyle | noZeroes)) !== 0) return null;
  return { fixedNewstyle: (flags & fixedNewstyle) !== 0, noZeroes: (flags & noZeroes) !== 0 };
}
