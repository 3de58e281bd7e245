import { chunks, magic, options, sizes } from '../../net-disk/protocol.ts';

/** What a client sends first: it speaks fixed newstyle, and wants no reserved zeroes. */
export const clientFlags: Buffer = Buffer.from([0, 0, 0, 3]);

/** The client wants structured replies. */
export const structuredReplies: Buffer = option(options.structuredReply, Buffer.alloc(0));

/** The client uses this export from now on. */
export function go(name: string): Buffer {
  const text = Buffer.from(name, 'utf8');
  const data = Buffer.alloc(4 + text.byteLength + 2);
  data.writeUInt32BE(text.byteLength, 0);
  text.copy(data, 4);
  return option(options.go, data);
}

function option(number: number, data: Buffer): Buffer {
  const header = Buffer.alloc(sizes.optionHeader);
  header.writeBigUInt64BE(magic.option, 0);
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(data.byteLength, 12);
  return Buffer.concat([header, data]);
}

/** One request of a client. */
export interface RequestHeader {
  readonly command: number;
  readonly flags: number;
  readonly cookie: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** The request as it travels, without what is to be written. */
export function requestBytes({ command, flags, cookie, offsetBytes, lengthBytes }: RequestHeader): Buffer {
  const bytes = Buffer.alloc(sizes.request);
  bytes.writeUInt32BE(magic.request, 0);
  bytes.writeUInt16BE(flags, 4);
  bytes.writeUInt16BE(command, 6);
  bytes.writeBigUInt64BE(BigInt(cookie), 8);
  bytes.writeBigUInt64BE(BigInt(offsetBytes), 16);
  bytes.writeUInt32BE(lengthBytes, 24);
  return bytes;
}

/** An answer of a server. */
export interface Reply {
  readonly cookie: number;
  readonly error: number;
  /** What the server says about an error. */
  readonly text: string;
  readonly data: Uint8Array | null;
  /** As long as all of it is. */
  readonly wholeBytes: number;
}

/** The first answer in these bytes; null: it has not come as a whole. Throws on what is none. */
export function takeReply(bytes: Buffer): Reply | null {
  if (bytes.byteLength < sizes.simpleReply) return null;
  const kind = bytes.readUInt32BE(0);
  if (kind === magic.simpleReply) {
    const [error, cookie] = [bytes.readUInt32BE(4), Number(bytes.readBigUInt64BE(8))];
    return { cookie, error, text: '', data: null, wholeBytes: sizes.simpleReply };
  }
  if (kind !== magic.structuredReply) throw new Error('net-disk: an answer does not begin as one');
  return bytes.byteLength < sizes.chunkHeader ? null : takeChunk(bytes);
}

function takeChunk(bytes: Buffer): Reply | null {
  const wholeBytes = sizes.chunkHeader + bytes.readUInt32BE(16);
  if (bytes.byteLength < wholeBytes) return null;
  const cookie = Number(bytes.readBigUInt64BE(8));
  const payload = bytes.subarray(sizes.chunkHeader, wholeBytes);
  const kind = bytes.readUInt16BE(6);
  if (kind === chunks.error) return { cookie, error: payload.readUInt32BE(0), text: payload.toString('utf8', 6), data: null, wholeBytes };
  if (kind !== chunks.offsetData) throw new Error(`net-disk: an answer of kind ${String(kind)}`);
  return { cookie, error: 0, text: '', data: payload.subarray(sizes.chunkOffset), wholeBytes };
}
