import fc from 'fast-check';

import { copyOf } from '../../../src/bytes.ts';
import { messageTypes } from '../../../src/mirror/wire.ts';
import type { MessageName } from '../../../src/mirror/wire.ts';
import type { SeededRandom } from '../../../src/testing/seeded-random.ts';

const headerBytes = 16;
const messageBytes = 24;
const longestBody = 1_048_576;
const sector = 512;

/** A message of a frame, as docs/wire.md describes it. */
export interface PlainMessage {
  readonly number: number;
  readonly a: number;
  readonly b: number;
  readonly body: Uint8Array;
}

/** Reads a frame by docs/wire.md alone; null for what is none. */
export function readFrame(frame: Uint8Array, connectionId: string): readonly PlainMessage[] | null {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.length < headerBytes || bytes.toString('hex', 8, headerBytes) !== connectionId) return null;
  const [number, owner] = [bytes.readUInt32LE(0), bytes.readUInt8(4)];
  if (owner > 2 || bytes.readUIntLE(5, 3) !== 0 || (owner === 0) !== (number === 0)) return null;
  const messages: PlainMessage[] = [];
  for (let at = headerBytes; at < bytes.length;) {
    if (bytes.length - at < messageBytes) return null;
    const length = bytes.readUInt32LE(at + 4);
    const [a, b] = [bytes.readBigUInt64LE(at + 8), bytes.readBigUInt64LE(at + 16)];
    const known = Object.values(messageTypes).includes(bytes.readUInt8(at) as never) && bytes.readUIntLE(at + 1, 3) === 0;
    if (!known || length > longestBody || length > bytes.length - at - messageBytes) return null;
    if (a > Number.MAX_SAFE_INTEGER || b > Number.MAX_SAFE_INTEGER) return null;
    const body = bytes.subarray(at + messageBytes, at + messageBytes + length);
    messages.push({ number: bytes.readUInt8(at), a: Number(a), b: Number(b), body });
    at += messageBytes + length;
  }
  return messages;
}

const word = fc.oneof(fc.nat(20), fc.nat(200), fc.constantFrom(0xffff_ffff, 0x8000_0000), fc.nat());
const whole = fc.oneof(
  { arbitrary: fc.nat(30), weight: 6 },
  { arbitrary: fc.nat(600).map((at) => at * sector), weight: 3 },
  { arbitrary: fc.constantFrom(Number.MAX_SAFE_INTEGER, 2 ** 32, 2 ** 40), weight: 1 },
);
const words = fc.array(word, { maxLength: 12 }).map((list) => new Uint8Array(Uint32Array.from(list).buffer));
const json = fc
  .oneof(fc.json(), fc.string(), fc.constantFrom('{}', 'null', '[]', '{"code":"HM_IO_WRITE","message":"x"}'))
  .map((text) => new Uint8Array(Buffer.from(text)));
const blocks = fc
  .tuple(fc.constantFrom(0, 1, sector - 1, sector, sector, 8 * sector, 9 * sector), fc.nat(255))
  .map(([length, fill]) => new Uint8Array(length).fill(fill));
const length = fc.nat(20).map((sectors) => new Uint8Array(Uint32Array.of(sectors * sector).buffer));
const bodies: Readonly<Partial<Record<MessageName, fc.Arbitrary<Uint8Array>>>> = {
  hello: json,
  decide: json,
  start: json,
  adopt: json,
  refuse: json,
  map: words,
  zeroes: words,
  fetch: length,
  fetched: blocks,
  compared: fc.uint8Array({ maxLength: 4 }),
  compare: words,
  hole: words.map((bytes) => bytes.subarray(0, 4)),
  write: blocks,
  resync: blocks,
};

/** Any message, with a body that is near to what it should have. */
const anyMessage: fc.Arbitrary<PlainMessage> = fc.constantFrom(...(Object.keys(messageTypes) as MessageName[])).chain((name) =>
  fc.record({
    number: fc.constant<number>(messageTypes[name]),
    a: whole,
    b: whole,
    body: fc.oneof(
      { arbitrary: bodies[name] ?? fc.constant(new Uint8Array(0)), weight: 6 },
      { arbitrary: fc.uint8Array({ maxLength: 40 }), weight: 1 },
    ),
  }),
);

/** Runs of messages for whole frames, drawn by fast-check from a seed. */
export function drawMessages(seed: number, count: number): readonly (readonly PlainMessage[])[] {
  return fc.sample(fc.array(anyMessage, { minLength: 1, maxLength: 4 }), { seed, numRuns: count });
}

/** A frame of these messages with the header of another one, up to whatever is wrong with it. */
export function frameOf(header: Uint8Array, messages: readonly PlainMessage[]): Uint8Array {
  const parts: Uint8Array[] = [header.slice(0, headerBytes)];
  for (const { number, a, b, body } of messages) {
    const bytes = Buffer.alloc(messageBytes);
    bytes.writeUInt8(number, 0);
    bytes.writeUInt32LE(body.length, 4);
    bytes.writeBigUInt64LE(BigInt(a), 8);
    bytes.writeBigUInt64LE(BigInt(b), 16);
    parts.push(bytes, body);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** What the mutator knows of a conversation. */
export interface MutationContext {
  readonly random: SeededRandom;
  readonly connectionId: string;
  /** Frames of earlier connections and of the other direction, also of other phases. */
  readonly recorded: readonly Uint8Array[];
  readonly drawn: readonly (readonly PlainMessage[])[];
  /** Source or target, once this end takes the stream; and the last change of it that was taken. */
  readonly stream: { readonly from: 'source' | 'target'; readonly sequence: number } | null;
}

type Mutation = (frame: Uint8Array, context: MutationContext) => readonly Uint8Array[];

const pick = <T>(list: readonly T[], random: SeededRandom): T | undefined => list[random.below(list.length)];

/** A recorded frame that says that it belongs to this connection, and sometimes keeps its own epoch. */
function transplanted(context: MutationContext, header: Uint8Array): Uint8Array {
  const frame = copyOf(pick(context.recorded, context.random) ?? header);
  frame.set(header.subarray(8, headerBytes), 8);
  if (context.random.below(4) > 0) frame.set(header.subarray(0, 8), 0);
  return frame;
}

function flipped(frame: Uint8Array, random: SeededRandom, fromByte = 0): Uint8Array {
  const bytes = copyOf(frame);
  for (let left = 1 + random.below(3); left > 0 && bytes.length > fromByte; left -= 1) {
    const at = fromByte + random.below(Math.min(bytes.length - fromByte, 200));
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  return bytes;
}

function spliced(frame: Uint8Array, other: Uint8Array, random: SeededRandom): Uint8Array {
  const head = frame.subarray(0, headerBytes + random.below(frame.length));
  return new Uint8Array(Buffer.concat([head, other.subarray(random.below(other.length))]));
}

/** One field of one message is another: the frame stays well-formed. */
function edited(frame: Uint8Array, { random, connectionId, drawn }: MutationContext): Uint8Array {
  const messages = [...(readFrame(frame, connectionId) ?? [])];
  const at = random.below(messages.length);
  const message = messages[at];
  const other = pick(pick(drawn, random) ?? [], random);
  if (!message || !other) return copyOf(frame);
  const edits = [{ a: other.a }, { b: other.b }, { body: other.body }, { number: other.number }];
  messages[at] = { ...message, ...pick(edits, random) };
  return frameOf(frame, messages);
}

/** Numbers of messages that carry a sequence. */
export const changes: readonly number[] = [messageTypes.write, messageTypes.resync, messageTypes.zeroes, messageTypes.hole];
const stormFrames = 64;
const stormBytes = 262_144;
const anyTime: readonly number[] = [messageTypes.ping, messageTypes.pong];

/** A message that may well be taken now, made of a drawn one. */
function fitting(
  { number, b, body }: PlainMessage,
  random: SeededRandom,
  { from, sequence }: NonNullable<MutationContext['stream']>,
): PlainMessage {
  if (from === 'target') return { number: messageTypes.ack, a: 0, b, body };
  if (!changes.includes(number)) return { number: messageTypes.flush, a: random.below(9), b, body };
  const zeroes = new Uint8Array(Uint32Array.from([sector * (1 + random.below(20)), random.below(2)]).buffer);
  const bytes = body.length === 0 || body.length % sector > 0 ? new Uint8Array(sector).fill(b) : body;
  return {
    number,
    a: sequence + 1,
    b: sector * random.below((stormBytes - bytes.length) / sector - 20),
    body: number === messageTypes.zeroes ? zeroes : number === messageTypes.hole ? zeroes.subarray(0, 4) : bytes,
  };
}

/** Many frames of one message each that may well be taken, then one that is not. */
function storm(frame: Uint8Array, { random, drawn, stream }: MutationContext): readonly Uint8Array[] {
  const frames: Uint8Array[] = [];
  let sequence = stream?.sequence ?? 0;
  for (let left = random.below(stormFrames); left > 0; left -= 1) {
    const message = pick(pick(drawn, random) ?? [], random);
    if (!message) break;
    const now =
      stream && random.below(4) > 0
        ? fitting(message, random, { ...stream, sequence })
        : { ...message, number: pick(anyTime, random) ?? messageTypes.ping };
    frames.push(frameOf(frame, [now]));
    if (changes.includes(now.number)) sequence = now.a;
  }
  return [...frames, flipped(frame, random)];
}

/** The ways to do harm to a frame, by name. */
export const mutations: Readonly<Record<string, Mutation>> = {
  flip: (frame, { random }) => [flipped(frame, random)],
  flipBody: (frame, { random }) => [flipped(frame, random, headerBytes)],
  truncate: (frame, { random }) => [frame.slice(0, random.below(frame.length))],
  extend: (frame, { random }) => [new Uint8Array(Buffer.concat([frame, random.bytes(1 + random.below(60))]))],
  duplicate: (frame) => [copyOf(frame), copyOf(frame)],
  drop: () => [],
  replay: (frame, context) => [copyOf(frame), transplanted(context, frame)],
  replace: (frame, context) => [transplanted(context, frame)],
  foreign: (_frame, { random, recorded }) => [copyOf(pick(recorded, random) ?? new Uint8Array(0))],
  splice: (frame, context) => [spliced(frame, transplanted(context, frame), context.random)],
  edit: (frame, context) => [edited(frame, context)],
  draw: (frame, { random, drawn }) => [frameOf(frame, pick(drawn, random) ?? []), copyOf(frame)],
  drawMany: (frame, { random, drawn }) => Array.from({ length: 4 }, () => frameOf(frame, pick(drawn, random) ?? [])),
  storm,
  garbage: (_frame, { random }) => [random.bytes(random.below(300))],
};
