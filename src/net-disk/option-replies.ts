import { infos, magic, optionReplies, sizes } from './protocol.ts';

const encoder = new TextEncoder();
/** Of a sentence for people, in characters. */
const longestReason = 256;

/** An answer to an option. */
export function optionReply(option: number, kind: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(sizes.optionReplyHeader + data.byteLength);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, magic.optionReply);
  view.setUint32(8, option);
  view.setUint32(12, kind);
  view.setUint32(16, data.byteLength);
  bytes.set(data, sizes.optionReplyHeader);
  return bytes;
}

/** A refusal, with a sentence for people. */
export function refuseOption(option: number, kind: number, because: string): Uint8Array {
  return optionReply(option, kind, encoder.encode(because.slice(0, longestReason)));
}

/** One export in a list. */
export function listedExport(option: number, name: string, description: string): Uint8Array {
  const encoded = encoder.encode(name);
  const said = encoder.encode(description);
  const data = new Uint8Array(4 + encoded.byteLength + said.byteLength);
  new DataView(data.buffer).setUint32(0, encoded.byteLength);
  data.set(encoded, 4);
  data.set(said, 4 + encoded.byteLength);
  return optionReply(option, optionReplies.server, data);
}

/** One metadata context, by the id that block status replies carry. */
export function metaContext(option: number, id: number, name: string): Uint8Array {
  const encoded = encoder.encode(name);
  const data = new Uint8Array(4 + encoded.byteLength);
  new DataView(data.buffer).setUint32(0, id);
  data.set(encoded, 4);
  return optionReply(option, optionReplies.metaContext, data);
}

/** Size and abilities of an export. */
export function exportInfo(option: number, sizeBytes: number, flags: number): Uint8Array {
  const data = new Uint8Array(12);
  const view = new DataView(data.buffer);
  view.setUint16(0, infos.export);
  view.setBigUint64(2, BigInt(sizeBytes));
  view.setUint16(10, flags);
  return optionReply(option, optionReplies.info, data);
}

/** A text about an export: its name or its description. */
export function textInfo(option: number, info: number, text: string): Uint8Array {
  const encoded = encoder.encode(text);
  const data = new Uint8Array(2 + encoded.byteLength);
  new DataView(data.buffer).setUint16(0, info);
  data.set(encoded, 2);
  return optionReply(option, optionReplies.info, data);
}

/** What offsets and lengths must be multiples of, what they had better be, and how much may travel at once; in bytes. */
export function blockSizeInfo(option: number, leastBytes: number, preferredBytes: number, mostBytes: number): Uint8Array {
  const data = new Uint8Array(14);
  const view = new DataView(data.buffer);
  view.setUint16(0, infos.blockSize);
  view.setUint32(2, leastBytes);
  view.setUint32(6, preferredBytes);
  view.setUint32(10, mostBytes);
  return optionReply(option, optionReplies.info, data);
}
