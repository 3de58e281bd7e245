import type { Socket } from 'node:net';

import * as z from 'zod';

import { HotMirrorError } from '../../errors.ts';
import { FrameDecoder, FrameEncoder } from '../framing.ts';
import { scsiIds } from './command.ts';
import type { ScsiCommand, ScsiResult } from './command.ts';

/** Longest message between a bus and a host's process: a transfer in base64, and what stands around it. */
const longestWireMessageBytes = 131_072;
/** With more unsent, the other end takes nothing any more and is cut off. */
const mostUnsentBytes = 16 * 1_048_576;
const largestSenseCode = 255;

const id = z
  .int()
  .min(0)
  .max(scsiIds - 1);
const tag = z.int().min(0);
const count = z.int().min(0);
const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const key = z.string().regex(/^[0-9a-f]{16}$/u);
const reservationType = z.union([z.literal(5), z.literal(6)]);

const command = z.discriminatedUnion('op', [
  z.strictObject({ op: z.enum(['test-unit-ready', 'inquiry', 'request-sense', 'receive', 'reserve', 'release', 'persistent-reserve-in']) }),
  z.strictObject({ op: z.literal('send'), data: bytes }),
  z.strictObject({ op: z.literal('read'), block: count, count }),
  z.strictObject({ op: z.literal('write'), block: count, data: bytes }),
  z.strictObject({
    op: z.literal('persistent-reserve-out'),
    action: z.enum(['register', 'register-and-ignore', 'reserve', 'release', 'clear', 'preempt', 'preempt-and-abort']),
    key,
    serviceKey: key,
    type: reservationType,
  }),
]);

const senseCode = z.int().min(0).max(largestSenseCode);
const result = z.discriminatedUnion('status', [
  z.strictObject({
    status: z.literal('good'),
    data: bytes,
    report: z
      .strictObject({
        generation: count,
        keys: z.array(key),
        reservation: z.strictObject({ key, type: reservationType }).nullable(),
      })
      .nullable(),
  }),
  z.strictObject({
    status: z.literal('check-condition'),
    sense: z.strictObject({ key: senseCode, asc: senseCode, ascq: senseCode, text: z.string() }),
  }),
  z.strictObject({
    status: z.enum(['busy', 'reservation-conflict', 'task-set-full', 'task-aborted', 'selection-timeout', 'transport-error', 'detached']),
  }),
]);

/** What a host's process says to the bus. */
const toBus = z.discriminatedUnion('say', [
  z.strictObject({ say: z.literal('attach'), id }),
  z.strictObject({ say: z.literal('run'), tag, target: id, command }),
  z.strictObject({ say: z.literal('notice'), data: bytes }),
  z.strictObject({ say: z.literal('took') }),
]);

/** What the bus says to a host's process. */
const toHost = z.discriminatedUnion('say', [
  z.strictObject({ say: z.literal('attached') }),
  z.strictObject({ say: z.literal('taken') }),
  z.strictObject({ say: z.literal('done'), tag, result }),
  z.strictObject({ say: z.literal('message'), from: id, data: bytes }),
  z.strictObject({ say: z.literal('detached'), reason: z.enum(['left', 'bus-error', 'removed', 'lost']) }),
]);

/** What a host's process says to the bus. */
export type ToBus =
  | { readonly say: 'attach'; readonly id: number }
  | { readonly say: 'run'; readonly tag: number; readonly target: number; readonly command: ScsiCommand }
  | { readonly say: 'notice'; readonly data: Uint8Array }
  | { readonly say: 'took' };

/** What the bus says to a host's process. */
export type ToHost =
  | { readonly say: 'attached' | 'taken' }
  | { readonly say: 'done'; readonly tag: number; readonly result: ScsiResult }
  | { readonly say: 'message'; readonly from: number; readonly data: Uint8Array }
  | { readonly say: 'detached'; readonly reason: 'left' | 'bus-error' | 'removed' | 'lost' };

/** Reads what a host said. Throws `HM_PROTOCOL`. */
export function parseToBus(text: string): ToBus {
  return parsed(text, (json) => toBus.parse(json));
}

/** Reads what the bus said. Throws `HM_PROTOCOL`. */
export function parseToHost(text: string): ToHost {
  return parsed(text, (json) => toHost.parse(json));
}

function parsed<Said>(text: string, parse: (json: unknown) => Said): Said {
  try {
    return parse(JSON.parse(text));
  } catch (cause) {
    throw new HotMirrorError('HM_PROTOCOL', 'a message between a SCSI bus and a host cannot be read', { cause });
  }
}

/** For `JSON.stringify`: a `Buffer` would become something else before a replacer is asked, so the original is looked up. */
function bytesAsText(this: Readonly<Record<string, unknown>>, name: string, value: unknown): unknown {
  const original = this[name];
  return original instanceof Uint8Array ? Buffer.from(original).toString('base64') : value;
}

/** Messages over a socket: JSON in frames with length, checksum and number, as a data link has them. Whatever is no such thing ends the socket. */
export class BusWire {
  readonly #socket: Socket;
  readonly #encoder = new FrameEncoder(longestWireMessageBytes);
  readonly #decoder = new FrameDecoder(longestWireMessageBytes);

  /** `said` may throw: the socket is then destroyed with that error, as it is for what cannot be read. */
  constructor(socket: Socket, said: (text: string) => void) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#take(chunk, said);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
  }

  /** Sends a message, unless the socket is gone. */
  send(message: ToBus | ToHost): void {
    if (this.#socket.destroyed) return;
    const text = JSON.stringify(message, bytesAsText);
    this.#socket.cork();
    for (const part of this.#encoder.frame([Buffer.from(text)])) this.#socket.write(Uint8Array.from(part));
    this.#socket.uncork();
    if (this.#socket.writableLength > mostUnsentBytes)
      this.#socket.destroy(new HotMirrorError('HM_SEND_WINDOW', 'the other end takes nothing any more'));
  }

  #take(chunk: Buffer, said: (text: string) => void): void {
    this.#decoder.feed(chunk);
    for (let frame = this.#decoder.next(); frame && !this.#socket.destroyed; frame = this.#decoder.next()) {
      said(Buffer.from(frame).toString('utf8'));
    }
    this.#decoder.keep();
  }
}
