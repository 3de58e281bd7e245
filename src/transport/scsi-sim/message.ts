import { crc32 } from 'node:zlib';

import { HotMirrorError } from '../../errors.ts';

/** Kinds of message between two hosts; `close` says that its sender has let go of the connection. */
export const messageKinds = ['open', 'opened', 'refused', 'data', 'window', 'end', 'close'] as const;

/** A kind of message. */
export type MessageKind = (typeof messageKinds)[number];

/** One message of a connection. */
export interface LinkMessage {
  readonly kind: MessageKind;
  /** Its sender dialled the connection. */
  readonly fromDialler: boolean;
  /** 16 hexadecimal digits, drawn by the dialler. */
  readonly connection: string;
  /** `data`, `end`: which one it is, from 0. `open`, `opened`, `window`: bytes that the other end may have sent since the beginning. */
  readonly number: number;
  readonly payload: Uint8Array;
}

/** Bytes before the payload. */
export const messageHeaderBytes = 24;

const magic = 0x484d;
const kindAt = 2;
const directionAt = 3;
const connectionAt = 4;
const connectionBytes = 8;
const numberAt = 12;
const crcAt = 20;
const numberBytes = 6;

/** The bytes of a message. */
export function encodeMessage({ kind, fromDialler, connection, number, payload }: LinkMessage): Uint8Array {
  const bytes = Buffer.alloc(messageHeaderBytes + payload.length);
  bytes.writeUInt16BE(magic, 0);
  bytes.writeUInt8(messageKinds.indexOf(kind), kindAt);
  bytes.writeUInt8(fromDialler ? 1 : 0, directionAt);
  bytes.write(connection, connectionAt, connectionBytes, 'hex');
  bytes.writeUIntBE(number, numberAt, numberBytes);
  bytes.set(payload, messageHeaderBytes);
  bytes.writeUInt32BE(checksum(bytes), crcAt);
  return bytes;
}

/** Reads a message; the payload is a view. Throws `HM_BAD_MAGIC`, `HM_BAD_CHECKSUM`, `HM_PROTOCOL`. */
export function decodeMessage(message: Uint8Array): LinkMessage {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  if (bytes.length < messageHeaderBytes || bytes.readUInt16BE(0) !== magic) {
    throw new HotMirrorError('HM_BAD_MAGIC', 'a message on the SCSI bus does not speak the protocol of hotmirror');
  }
  if (checksum(bytes) !== bytes.readUInt32BE(crcAt))
    throw new HotMirrorError('HM_BAD_CHECKSUM', 'a message on the SCSI bus arrived damaged');
  const kind = messageKinds[bytes.readUInt8(kindAt)];
  if (!kind) throw new HotMirrorError('HM_PROTOCOL', 'a message on the SCSI bus is of no known kind');
  return {
    kind,
    fromDialler: bytes.readUInt8(directionAt) === 1,
    connection: bytes.toString('hex', connectionAt, connectionAt + connectionBytes),
    number: bytes.readUIntBE(numberAt, numberBytes),
    payload: bytes.subarray(messageHeaderBytes),
  };
}

function checksum(bytes: Buffer): number {
  const header = crc32(bytes.subarray(0, crcAt));
  return bytes.length > messageHeaderBytes ? crc32(bytes.subarray(messageHeaderBytes), header) : header;
}
