import { HotMirrorError } from '../errors.ts';
import type { SerializedError } from '../errors.ts';
import type { Json } from './types.ts';

/** Random bytes in a nonce, and in the name of a start. */
export const nonceBytes = 8;
/** Longest JSON of a report, a request or a reply, in bytes of UTF-8. */
export const maxBodyBytes: number = 64 * 1024;
const envelopeBytes = 1024;
const maxMessageBytes = maxBodyBytes + envelopeBytes;
const maxDepth = 64;
/** A body lies inside an outcome inside a message. */
const envelopeDepth = 2;
const hexName = /^[0-9a-f]{16}$/;

/** Asks for a sign of life (rule `watch.token`). The first message of each connection, so that both ends know whose start it is. */
export interface Token {
  readonly kind: 'token';
  /** The sender's start. */
  readonly run: string;
  readonly sequence: number;
  readonly nonce: string;
}

/** Answers a token with its sequence and nonce. */
export interface Answer {
  readonly kind: 'answer';
  readonly sequence: number;
  readonly nonce: string;
  readonly report: Json;
}

/** Asks the peer to act. The asker's start and the number are its id: the peer acts on each once. */
export interface RequestMessage {
  readonly kind: 'request';
  /** The start of the peer that is asked: another one must not act on it. */
  readonly to: string;
  readonly number: number;
  readonly body: Json;
}

/** The outcome of a request. */
export type Outcome = { readonly ok: Json } | { readonly error: SerializedError };

/** Answers a request. */
export interface Reply {
  readonly kind: 'reply';
  /** The asker's start. */
  readonly to: string;
  readonly number: number;
  readonly outcome: Outcome;
}

/** Says that the sender is about to stop (rule `node.leave`). */
export interface Goodbye {
  readonly kind: 'goodbye';
  readonly run: string;
}

/** Confirms a goodbye: `run` is that of the one who leaves. */
export interface Farewell {
  readonly kind: 'farewell';
  readonly run: string;
}

/** What travels on a monitor link. */
export type Message = Token | Answer | RequestMessage | Reply | Goodbye | Farewell;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The bytes of a message. Throws `RangeError` above the limit, `TypeError` for what JSON cannot hold. */
export function encodeMessage(message: Message): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(message));
  if (bytes.length > maxMessageBytes)
    throw new RangeError(`a ${message.kind} of ${String(bytes.length)} bytes is above ${String(maxMessageBytes)}`);
  return bytes;
}

/** Checks that a body can be sent. Throws `TypeError` for what is not plain JSON data, `RangeError` for what is too long or nested too deeply. */
export function checkBody(body: Json, what: string): void {
  const text = JSON.stringify(body) as string | undefined;
  if (text === undefined) throw new TypeError(`${what} must be plain data that JSON can hold`);
  if (Buffer.byteLength(text) > maxBodyBytes) throw new RangeError(`${what} must be at most ${String(maxBodyBytes)} bytes as JSON`);
  if (deeperThan(body, maxDepth)) throw new RangeError(`${what} must not be nested more than ${String(maxDepth)} deep`);
}

/** Reads a message. Throws `HM_PROTOCOL` for anything that is not exactly one. */
export function decodeMessage(bytes: Uint8Array): Message {
  if (bytes.length > maxMessageBytes) throw nonsense(`a message of ${String(bytes.length)} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new HotMirrorError('HM_PROTOCOL', 'a message that is not JSON', { cause });
  }
  if (!isRecord(value) || deeperThan(value, maxDepth + envelopeDepth)) throw nonsense('a message that is no flat record');
  const { kind } = value;
  const read = typeof kind === 'string' && Object.hasOwn(readers, kind) ? readers[kind as Message['kind']] : null;
  if (!read) throw nonsense('a message of an unknown kind');
  return read(new Fields(value));
}

const readers: { readonly [Kind in Message['kind']]: (fields: Fields) => Message } = {
  token: (fields) => fields.only('kind', 'run', 'sequence', 'nonce').token(),
  answer: (fields) => fields.only('kind', 'sequence', 'nonce', 'report').answer(),
  request: (fields) => fields.only('kind', 'to', 'number', 'body').request(),
  reply: (fields) => fields.only('kind', 'to', 'number', 'outcome').reply(),
  goodbye: (fields) => ({ kind: 'goodbye', run: fields.only('kind', 'run').hex('run') }),
  farewell: (fields) => ({ kind: 'farewell', run: fields.only('kind', 'run').hex('run') }),
};

/** The fields of a message, each read strictly. */
class Fields {
  readonly #record: Readonly<Record<string, unknown>>;

  constructor(record: Readonly<Record<string, unknown>>) {
    this.#record = record;
  }

  only(...names: readonly string[]): this {
    const present = Object.keys(this.#record);
    if (present.length !== names.length || !names.every((name) => present.includes(name)))
      throw nonsense(`a message with fields ${present.join(', ').slice(0, 80)}`);
    return this;
  }

  hex(name: string): string {
    const value = this.#record[name];
    if (typeof value !== 'string' || !hexName.test(value)) throw nonsense(`a message with a bad ${name}`);
    return value;
  }

  count(name: string): number {
    const value = this.#record[name];
    if (!Number.isSafeInteger(value) || (value as number) < 1) throw nonsense(`a message with a bad ${name}`);
    return value as number;
  }

  json(name: string): Json {
    return this.#record[name] as Json;
  }

  token(): Token {
    return { kind: 'token', run: this.hex('run'), sequence: this.count('sequence'), nonce: this.hex('nonce') };
  }

  answer(): Answer {
    return { kind: 'answer', sequence: this.count('sequence'), nonce: this.hex('nonce'), report: this.json('report') };
  }

  request(): RequestMessage {
    return { kind: 'request', to: this.hex('to'), number: this.count('number'), body: this.json('body') };
  }

  reply(): Reply {
    return { kind: 'reply', to: this.hex('to'), number: this.count('number'), outcome: outcomeOf(this.#record['outcome']) };
  }
}

function outcomeOf(value: unknown): Outcome {
  const [only, ...more] = isRecord(value) ? Object.entries(value) : [];
  if (only && more.length === 0) {
    const [name, content] = only;
    if (name === 'ok') return { ok: content as Json };
    if (name === 'error' && isRecord(content)) return { error: HotMirrorError.fromJSON(content).toJSON() };
  }
  throw nonsense('a reply without an outcome');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The depth is bounded before anything recursive, such as `JSON.stringify`, meets the value. */
function deeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => deeperThan(inner, levels - 1));
}

function nonsense(what: string): HotMirrorError {
  return new HotMirrorError('HM_PROTOCOL', `the peer sent ${what}`);
}
