import { HotMirrorError } from '../errors.ts';
import { handshakeFlags, infos, magic, optionReplies, options, sizes } from './protocol.ts';
import { badServer, readExport } from './server-export.ts';
import type { ServerExport } from './server-export.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bytes of a server, in order: resolves when so many are there; rejects when the connection ends first. */
export type TakeBytes = (lengthBytes: number) => Promise<Uint8Array>;

const longestReplyBytes = 64 * 2 ** 10;
const mostReplies = 64;

/**
 * Agrees with a server on an export, by GO and simple replies. Rejects with `HM_BAD_MAGIC`, `HM_DEVICE_NOT_FOUND`, `HM_DEVICE_ACCESS` or `HM_NOT_SUPPORTED`, or as `take` does.
 */
export async function enterExport(take: TakeBytes, send: (bytes: Uint8Array) => void, name: string): Promise<ServerExport> {
  const greeting = viewOf(await take(sizes.greeting));
  if (greeting.getBigUint64(0) !== magic.server || greeting.getBigUint64(8) !== magic.option)
    throw badServer('it does not greet as an NBD server');
  const offered = greeting.getUint16(16);
  if ((offered & handshakeFlags.fixedNewstyle) === 0) throw badServer('it does not know fixed newstyle');
  send(u32(offered & (handshakeFlags.fixedNewstyle | handshakeFlags.noZeroes)));
  send(goOption(name));
  const told: Uint8Array[] = [];
  while (told.length < mostReplies) {
    const header = viewOf(await take(sizes.optionReplyHeader));
    const [kind, lengthBytes] = [header.getUint32(12), header.getUint32(16)];
    if (header.getBigUint64(0) !== magic.optionReply || header.getUint32(8) !== options.go)
      throw badServer('it answers something else than GO');
    if (lengthBytes > longestReplyBytes) throw badServer('its answer is too long');
    const data = await take(lengthBytes);
    if (kind === optionReplies.ack) return readExport(told);
    if (kind !== optionReplies.info) throw refusalOf(kind, name, decoder.decode(data));
    told.push(data);
  }
  throw badServer('it does not come to an end about the export');
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

function refusalOf(kind: number, name: string, because: string): HotMirrorError {
  const said = because === '' ? '' : `: ${because}`;
  if (kind === optionReplies.unknown)
    return new HotMirrorError('HM_DEVICE_NOT_FOUND', `the server has no export "${name}"${said}`, {
      details: { remedy: 'See what the server exports, with `nbdinfo --list` and its URI, and write the name as it stands there.' },
    });
  if (kind === optionReplies.tlsRequired) return new HotMirrorError('HM_NOT_SUPPORTED', `the server wants TLS${said}`);
  if (kind === optionReplies.unsupported)
    return new HotMirrorError('HM_NOT_SUPPORTED', `the server is too old: it does not know GO${said}`);
  return new HotMirrorError('HM_DEVICE_ACCESS', `the server does not let export "${name}" be used${said}`, {
    details: { remedy: 'It is the server that refuses: look at its settings, and at who else uses the export.' },
  });
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
