import { HotMirrorError } from '../errors.ts';
import type { Epoch } from '../epoch.ts';
import { digestLength, digestNames } from './digests.ts';
import type { DigestName } from './digests.ts';

/** Version of the data link's messages. */
export const wireVersion = 1;

/**
 * Messages of a data link. Numbers are the wire's and never change their meaning within a {@link wireVersion}.
 * `a` and `b` are the two whole numbers that every message header carries.
 */
export const messageTypes = {
  /** Both: who I am and what my element knows. Body: JSON. */
  hello: 1,
  /** Both: what I decided from both hellos. Body: JSON. */
  decide: 2,
  /** Source: begin; `body` JSON with the scope. */
  start: 3,
  /** Target: some of its dirty map. Body: pairs of 32-bit (first extent, count). */
  map: 4,
  /** Target: its map is complete and, where anything is to be copied, it is durably inconsistent (resync.begin). */
  begun: 5,
  /** Source: a write of the application; a: sequence, b: offset in bytes. */
  write: 6,
  /** Source: a resync write; a: sequence, b: offset in bytes. */
  resync: 7,
  /** Target: everything up to sequence a is applied. */
  ack: 8,
  /** Source: make everything so far durable; a: number of the flush. */
  flush: 9,
  /** Target: flush number a is done. */
  flushed: 10,
  /** Source: take over my lineage. Body: JSON. */
  adopt: 11,
  /** Target: it is durable. */
  adopted: 12,
  /** Both: are you there; a: a number to send back. */
  ping: 13,
  /** Both: I am; a: the number. */
  pong: 14,
  /** Both: I stop; a target says it after its element is durably outdated (node.leave). a: 1 where its element is durably `off` instead (element.off). */
  leave: 15,
  /** Both: I have noted that you stop. */
  left: 16,
  /** Both: why I close this connection. Body: JSON of an error. */
  refuse: 17,
  /** Source: zeroes of the application; a: sequence, b: offset in bytes. Body: 32-bit length, 32-bit flags. Feature `zeroes`. */
  zeroes: 18,
  /** Target: everything up to sequence a is in my hands, and will be applied whatever becomes of this connection. Feature `protocols`. */
  received: 20,
  /** Source: the protocol in force from here on; a: its number, b: most bytes that are acknowledged before the target has them. Feature `protocols`. */
  protocol: 21,
  /** Source: what follows must not be applied before all that came before is (rule write.order). Feature `protocols`. */
  barrier: 22,
  /** Source: what follows on this connection is not all: record durably that your element is behind (write.congested). Feature `pull-ahead`. */
  ahead: 23,
  /** Target: that is durable. */
  behind: 24,
  /** Source: what does this range hold after everything before this message; a: number of the fetch, b: offset in bytes. Body: 32-bit length. Feature `fetch`. */
  fetch: 35,
  /** Target: fetch number a. Body: the bytes; empty where they cannot be read. */
  fetched: 36,
  /** Source: my element has failed; make what you hold durable and a generation of its own. Body: JSON. Feature `diskless`. */
  detach: 37,
  /** Target: it is durable. */
  detached: 38,
  /** Source: a resync write of zeroes; a: sequence, b: offset in bytes. Body: 32-bit length. Feature `holes`. */
  hole: 27,
  /** Source: does this range hold the same as mine, after everything before this message; a: number of the comparison, b: offset in bytes. Body: 32-bit length, 8-bit number of the digest, 8-bit flags, 16 bits of zero, digests. Feature `compare`. */
  compare: 25,
  /** Target: comparison number a. Body: a byte for each extent: 0 the same, 1 not. */
  compared: 26,
  /** Source: what a verify found is waived. Feature `compare`. */
  waived: 28,
} as const;

/** The name of a message. */
export type MessageName = keyof typeof messageTypes;

const names = new Map<number, MessageName>(Object.entries(messageTypes).map(([name, type]) => [type, name as MessageName]));

/** Messages that only a source sends. */
export const fromSource: ReadonlySet<MessageName> = new Set<MessageName>([
  ...([
    'start',
    'protocol',
    'barrier',
    'ahead',
    'write',
    'zeroes',
    'resync',
    'hole',
    'compare',
    'waived',
    'flush',
    'fetch',
    'adopt',
    'detach',
  ] as const),
]);

/** One message as it arrived; `body` is valid during the call that hands it over. */
export interface Message {
  readonly name: MessageName;
  readonly a: number;
  readonly b: number;
  readonly body: Uint8Array;
}

/** What every frame of a data link begins with (rule lineage.epoch). */
export interface FrameHeader {
  readonly epochNumber: number;
  /** Who owns that epoch, seen from the sender. */
  readonly owner: 'none' | 'sender' | 'receiver';
  /** 16 hexadecimal digits. */
  readonly connectionId: string;
}

/** Bytes before the first message of a frame. */
export const frameHeaderBytes = 16;

/** Bytes before the body of a message. */
export const messageHeaderBytes = 24;

/** Longest body of one message; longer application writes travel as several. */
export const maxBodyBytes = 1_048_576;

/** Longest range of one `zeroes` message: one region of the activity log. */
export const maxZeroesBytes = 4_194_304;

/** Most bytes that fetches without an answer may ask for: what a target has to keep for them. */
export const maxFetchingBytes = 8_388_608;

/** `a` of a `leave` that takes an element out. */
export const leavesOff = 1;

/** Bytes of comparisons that have no answer yet. */
export const maxComparingBytes = 8_388_608;

const zeroesBodyBytes = 8;
const compareHeadBytes = 8;
/** What differs is a finding. */
const verifyFlag = 1;
const lengthBodyBytes = 4;
/** The range must keep its space. */
const noHoleFlag = 1;

const owners = ['none', 'sender', 'receiver'] as const;
const highUnit = 2 ** 32;
const noBody = new Uint8Array(0);

/** Encodes the beginning of a frame. */
export function encodeFrameHeader(header: FrameHeader): Uint8Array {
  const bytes = Buffer.alloc(frameHeaderBytes);
  bytes.writeUInt32LE(header.epochNumber, 0);
  bytes.writeUInt8(owners.indexOf(header.owner), 4);
  Buffer.from(header.connectionId, 'hex').copy(bytes, 8);
  return bytes;
}

/** Encodes the header of one message. */
export function encodeMessageHeader(name: MessageName, a: number, b: number, bodyBytes: number): Uint8Array {
  const bytes = Buffer.alloc(messageHeaderBytes);
  bytes.writeUInt8(messageTypes[name], 0);
  bytes.writeUInt32LE(bodyBytes, 4);
  writeWhole(bytes, a, 8);
  writeWhole(bytes, b, 16);
  return bytes;
}

/** Reads the beginning of a frame; rejects what is none with `HM_PROTOCOL`. */
export function decodeFrameHeader(frame: Uint8Array): FrameHeader {
  if (frame.byteLength < frameHeaderBytes) throw malformed('a frame is too short for its header');
  const bytes = asBuffer(frame);
  const owner = owners[bytes.readUInt8(4)];
  if (owner === undefined || bytes.readUIntLE(5, 3) !== 0) throw malformed('a frame header carries unknown bits');
  if ((owner === 'none') !== (bytes.readUInt32LE(0) === 0)) throw malformed('an epoch without owner, or an owner without epoch');
  return { epochNumber: bytes.readUInt32LE(0), owner, connectionId: bytes.toString('hex', 8, frameHeaderBytes) };
}

/**
 * Reads the messages of a frame in order. The whole frame is checked before the first message is handed out,
 * so that nothing of a malformed frame takes effect.
 */
export function decodeMessages(frame: Uint8Array): readonly Message[] {
  const bytes = asBuffer(frame);
  const messages: Message[] = [];
  let at = frameHeaderBytes;
  while (at < bytes.length) {
    if (bytes.length - at < messageHeaderBytes) throw malformed('a message header is cut off');
    const name = names.get(bytes.readUInt8(at));
    const bodyBytes = bytes.readUInt32LE(at + 4);
    if (name === undefined || bytes.readUIntLE(at + 1, 3) !== 0) throw malformed('a message of an unknown kind');
    if (bodyBytes > maxBodyBytes || bodyBytes > bytes.length - at - messageHeaderBytes) throw malformed('a message body is too long');
    const bodyAt = at + messageHeaderBytes;
    // Not a Buffer: its `slice` would not copy, and who keeps a body must.
    const body = bodyBytes === 0 ? noBody : new Uint8Array(bytes.buffer, bytes.byteOffset + bodyAt, bodyBytes);
    messages.push({ name, a: readWhole(bytes, at + 8), b: readWhole(bytes, at + 16), body });
    at = bodyAt + bodyBytes;
  }
  return messages;
}

/** A range of zeroes. */
export interface ZeroesBody {
  readonly lengthBytes: number;
  readonly noHole: boolean;
}

/** The body of a `zeroes` message. */
export function encodeZeroes({ lengthBytes, noHole }: ZeroesBody): Uint8Array {
  const bytes = Buffer.alloc(zeroesBodyBytes);
  bytes.writeUInt32LE(lengthBytes, 0);
  bytes.writeUInt32LE(noHole ? noHoleFlag : 0, 4);
  return bytes;
}

/** Reads the body of a `zeroes` message; rejects what is none with `HM_PROTOCOL`. */
export function decodeZeroes(body: Uint8Array): ZeroesBody {
  if (body.byteLength !== zeroesBodyBytes) throw malformed('zeroes without length and flags');
  const bytes = asBuffer(body);
  const lengthBytes = bytes.readUInt32LE(0);
  const flags = bytes.readUInt32LE(4);
  if (lengthBytes > maxZeroesBytes) throw malformed('a range of zeroes is too long');
  if (flags > noHoleFlag) throw malformed('zeroes with unknown flags');
  return { lengthBytes, noHole: flags === noHoleFlag };
}

/** The body of a `fetch` or `hole` message. */
export function encodeLength(lengthBytes: number): Uint8Array {
  const bytes = Buffer.alloc(lengthBodyBytes);
  bytes.writeUInt32LE(lengthBytes, 0);
  return bytes;
}

/** Reads the length in a `fetch` or `hole` message, at most that of a body; rejects what is none with `HM_PROTOCOL`. */
export function decodeLength(body: Uint8Array, what: MessageName): number {
  if (body.byteLength !== lengthBodyBytes) throw malformed(`a ${what} without a length`);
  const lengthBytes = asBuffer(body).readUInt32LE(0);
  if (lengthBytes > maxBodyBytes) throw malformed(`a ${what} is too long`);
  return lengthBytes;
}

/** A range to be compared. */
export interface CompareBody {
  readonly lengthBytes: number;
  readonly digest: DigestName;
  /** It is part of a verify: what differs is a finding. */
  readonly verify: boolean;
  /** The source's digest of each extent. */
  readonly digests: Uint8Array;
}

/** The body of a `compare` message. */
export function encodeCompare({ lengthBytes, digest, verify, digests }: CompareBody): Uint8Array {
  const bytes = Buffer.alloc(compareHeadBytes + digests.byteLength);
  bytes.writeUInt32LE(lengthBytes, 0);
  bytes.writeUInt8(digestNames.indexOf(digest), 4);
  bytes.writeUInt8(verify ? verifyFlag : 0, 5);
  bytes.set(digests, compareHeadBytes);
  return bytes;
}

/** Reads the body of a `compare` message; rejects what is none with `HM_PROTOCOL`. */
export function decodeCompare(body: Uint8Array, extentBytes: number): CompareBody {
  if (body.byteLength < compareHeadBytes) throw malformed('a comparison without length and digest');
  const bytes = asBuffer(body);
  const lengthBytes = bytes.readUInt32LE(0);
  const digest = digestNames[bytes.readUInt8(4)];
  const flags = bytes.readUInt32LE(4) >>> 8;
  if (lengthBytes > maxBodyBytes) throw malformed('a comparison is too long');
  if (digest === undefined || flags > verifyFlag) throw malformed('a comparison by an unknown digest, or with unknown flags');
  if (body.byteLength - compareHeadBytes !== digestLength(digest, lengthBytes, extentBytes))
    throw malformed('a comparison without a digest of each extent');
  return { lengthBytes, digest, verify: flags === verifyFlag, digests: body.subarray(compareHeadBytes) };
}

/** How much of the element a message changes; null for one that changes nothing. */
export function changedBytes({ name, body }: Message): number | null {
  if (name === 'write' || name === 'resync') return body.byteLength;
  if (name === 'zeroes') return decodeZeroes(body).lengthBytes;
  return name === 'hole' ? decodeLength(body, 'hole') : null;
}

/** The owner field for an epoch, seen from `node`. */
export function ownerField(epoch: Epoch, node: string): FrameHeader['owner'] {
  if (epoch.number === 0) return 'none';
  return epoch.owner === node ? 'sender' : 'receiver';
}

/** The epoch that a frame of `sender` carries, as `receiver` names it. */
export function frameEpoch(header: FrameHeader, sender: string, receiver: string): Epoch {
  if (header.owner === 'none') return { number: 0, owner: '' };
  return { number: header.epochNumber, owner: header.owner === 'sender' ? sender : receiver };
}

/** The error for what makes no sense on a data link. */
export function malformed(what: string): HotMirrorError {
  return new HotMirrorError('HM_PROTOCOL', what);
}

/** The error in a `refuse` message. */
export function readRefusal(body: Uint8Array): HotMirrorError {
  try {
    return HotMirrorError.fromJSON(JSON.parse(Buffer.from(body).toString('utf8')));
  } catch {
    throw malformed('a refusal makes no sense');
  }
}

function writeWhole(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % highUnit, at);
  bytes.writeUInt32LE(Math.floor(value / highUnit), at + 4);
}

function readWhole(bytes: Buffer, at: number): number {
  const value = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * highUnit;
  if (!Number.isSafeInteger(value)) throw malformed('a number is too large');
  return value;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
