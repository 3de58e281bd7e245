import { crc32 } from 'node:zlib';

import { slipEncode } from './slip.ts';

/**
 * What a packet is for. `open`: the sender wants a connection. `data`, `finish`: the next bytes, and their end. `acknowledge`: nothing but what every packet says of the other
 * direction; `ask`: the same, and the other end is to say it too. `reset`: the sender's end of the connection is over. `gone`: it is, or never was; nothing answers that.
 */
export type PacketKind = 'open' | 'data' | 'finish' | 'acknowledge' | 'ask' | 'reset' | 'gone';

/** What travels on a serial line. */
export interface Packet {
  readonly kind: PacketKind;
  /** Of the connection: drawn by the end that opened it. */
  readonly connection: number;
  /** The sender is the end that opened it. */
  readonly fromOpener: boolean;
  /** Of `data` and `finish`: counts them, modulo 2^16. */
  readonly sequence: number;
  /** All before this one came, modulo 2^16. */
  readonly acknowledged: number;
  /** So many may be on their way from `acknowledged` on. */
  readonly credit: number;
  /** Bit n: the packet n + 1 after `acknowledged` came. */
  readonly beyond: number;
  readonly payload: Uint8Array;
}

const kinds: readonly PacketKind[] = ['open', 'data', 'finish', 'acknowledge', 'ask', 'reset', 'gone'];
const kindMask = 0x07;
const openerBit = 0x08;
const beyondBit = 0x10;
const knownBits = kindMask | openerBit | beyondBit;

const connectionAt = 1;
const sequenceAt = 5;
const acknowledgedAt = 7;
const creditAt = 9;
const headerBytes = 10;
const beyondBytes = 4;
const crcBytes = 4;

/** Longest payload of a packet: it keeps a slow line busy for a third of a second, and another connection waits no longer for its turn. */
export const maxPayloadBytes = 256;
/** Longest packet before it is escaped. */
export const maxPacketBytes: number = headerBytes + beyondBytes + maxPayloadBytes + crcBytes;

/** The packet as it is written to the line. */
export function encodePacket(packet: Packet): Buffer {
  const { kind, fromOpener, beyond, payload } = packet;
  const payloadAt = headerBytes + (beyond === 0 ? 0 : beyondBytes);
  const bytes = Buffer.allocUnsafe(payloadAt + payload.length + crcBytes);
  bytes.writeUInt8(kinds.indexOf(kind) | (fromOpener ? openerBit : 0) | (beyond === 0 ? 0 : beyondBit), 0);
  bytes.writeUInt32LE(packet.connection, connectionAt);
  bytes.writeUInt16LE(packet.sequence & 0xffff, sequenceAt);
  bytes.writeUInt16LE(packet.acknowledged & 0xffff, acknowledgedAt);
  bytes.writeUInt8(packet.credit, creditAt);
  if (beyond !== 0) bytes.writeUInt32LE(beyond, headerBytes);
  bytes.set(payload, payloadAt);
  const crcAt = payloadAt + payload.length;
  bytes.writeUInt32LE(crc32(bytes.subarray(0, crcAt)), crcAt);
  return slipEncode(bytes);
}

/** Reads what stood between two ends. Null for anything but a whole packet. Its payload is a copy. */
export function decodePacket(bytes: Uint8Array): Packet | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const crcAt = view.length - crcBytes;
  if (crcAt < headerBytes || crc32(view.subarray(0, crcAt)) !== view.readUInt32LE(crcAt)) return null;
  const first = view.readUInt8(0);
  const kind = kinds[first & kindMask];
  const hasBeyond = (first & beyondBit) !== 0;
  const payloadAt = headerBytes + (hasBeyond ? beyondBytes : 0);
  if (!kind || (first & ~knownBits) !== 0 || crcAt < payloadAt || crcAt - payloadAt > maxPayloadBytes) return null;
  return {
    kind,
    connection: view.readUInt32LE(connectionAt),
    fromOpener: (first & openerBit) !== 0,
    sequence: view.readUInt16LE(sequenceAt),
    acknowledged: view.readUInt16LE(acknowledgedAt),
    credit: view.readUInt8(creditAt),
    beyond: hasBeyond ? view.readUInt32LE(headerBytes) : 0,
    payload: Uint8Array.from(view.subarray(payloadAt, crcAt)),
  };
}
