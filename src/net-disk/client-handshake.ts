import { HotMirrorError } from '../errors.ts';
import { handshakeFlags, infos, magic, optionReplies, options, sizes, transmissionFlags } from './protocol.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a server says of the export that a client uses. */
export interface ServerExport {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  /** The largest read or write. */
  readonly requestBytes: number;
  readonly readOnly: boolean;
  readonly flush: boolean;
  readonly fua: boolean;
  readonly trim: boolean;
  readonly writeZeroes: boolean;
}

/** Bytes of a server, in order: resolves when so many are there; rejects when the connection ends first. */
export type TakeBytes = (lengthBytes: number) => Promise<Uint8Array>;

/** What every server may be sent that says nothing of its block sizes. */
const defaultBlockBytes = 512;
const defaultRequestBytes = 32 * 2 ** 20;
const longestReplyBytes = 64 * 2 ** 10;

/** Agrees with a server on an export, by GO and simple replies. Rejects with `HM_PROTOCOL`, `HM_DEVICE_NOT_FOUND` or `HM_REFUSED`, or as `take` does. */
export async function enterExport(take: TakeBytes, send: (bytes: Uint8Array) => void, name: string): Promise<ServerExport> {
  const greeting = viewOf(await take(sizes.greeting));
  if (greeting.getBigUint64(0) !== magic.server || greeting.getBigUint64(8) !== magic.option)
    throw wrong('it does not greet as an NBD server');
  const offered = greeting.getUint16(16);
  if ((offered & handshakeFlags.fixedNewstyle) === 0) throw wrong('it does not know fixed newstyle');
  send(u32(offered & (handshakeFlags.fixedNewstyle | handshakeFlags.noZeroes)));
  send(goOption(name));
  const told: Uint8Array[] = [];
  for (;;) {
    const header = viewOf(await take(sizes.optionReplyHeader));
    const [kind, lengthBytes] = [header.getUint32(12), header.getUint32(16)];
    if (header.getBigUint64(0) !== magic.optionReply || header.getUint32(8) !== options.go)
      throw wrong('it answers something else than GO');
    if (lengthBytes > longestReplyBytes) throw wrong('its answer is too long');
    const data = await take(lengthBytes);
    if (kind === optionReplies.ack) return readExport(told);
    if (kind !== optionReplies.info) throw refusalOf(kind, name, decoder.decode(data));
    told.push(data);
  }
}

function goOption(name: string): Uint8Array {
  const encoded = encoder.encode(name);
  const bytes = new Uint8Array(sizes.optionHeader + 4 + encoded.byteLength + 4);
  const view = viewOf(bytes);
  view.setBigUint64(0, magic.option);
  view.setUint32(8, options.go);
  view.setUint32(12, 4 + encoded.byteLength + 4);
  view.setUint32(16, encoded.byteLength);
  bytes.set(encoded, 20);
  view.setUint16(20 + encoded.byteLength, 1);
  view.setUint16(22 + encoded.byteLength, infos.blockSize);
  return bytes;
}

function readExport(told: readonly Uint8Array[]): ServerExport {
  const about = told.map(viewOf).find((view) => view.byteLength === 12 && view.getUint16(0) === infos.export);
  const blocks = told.map(viewOf).find((view) => view.byteLength === 14 && view.getUint16(0) === infos.blockSize);
  if (!about) throw wrong('it says nothing of the export');
  const flags = about.getUint16(10);
  const can = (flag: number): boolean => (flags & flag) !== 0;
  return {
    sizeBytes: Number(about.getBigUint64(2)),
    blockSizeBytes: Math.max(defaultBlockBytes, blocks?.getUint32(2) ?? 0),
    requestBytes: Math.min(defaultRequestBytes, blocks?.getUint32(10) ?? defaultRequestBytes),
    readOnly: can(transmissionFlags.readOnly),
    flush: can(transmissionFlags.sendFlush),
    fua: can(transmissionFlags.sendFua),
    trim: can(transmissionFlags.sendTrim),
    writeZeroes: can(transmissionFlags.sendWriteZeroes),
  };
}

function refusalOf(kind: number, name: string, because: string): HotMirrorError {
  const said = because === '' ? '' : `: ${because}`;
  if (kind === optionReplies.unknown) return new HotMirrorError('HM_DEVICE_NOT_FOUND', `the server has no export "${name}"${said}`);
  if (kind === optionReplies.tlsRequired) return new HotMirrorError('HM_NOT_SUPPORTED', `the server wants TLS${said}`);
  return new HotMirrorError('HM_DEVICE_ACCESS', `the server does not let export "${name}" be used${said}`);
}

function wrong(because: string): HotMirrorError {
  return new HotMirrorError('HM_BAD_MAGIC', `the server does not speak NBD as it should: ${because}`);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
