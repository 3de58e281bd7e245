import { z } from 'zod';

import { HotMirrorError } from '../errors.ts';
import type { Rule } from '../rules.ts';
import { rules } from '../rules.ts';
import type { Epoch } from '../epoch.ts';
import type { PairRecord } from './pair-record.ts';
import type { MirrorResolve } from './resolve-run.ts';
import { controlSchema, epochSchema } from './pair-record.ts';
import type { Json, OutdateOrder } from './ports.ts';

const text = z.string().max(1024);
const ruleNames = Object.keys(rules) as Rule[];

const outdate = z.object({
  kind: z.literal('outdate'),
  mirror: z.string().max(255),
  epoch: epochSchema,
  currentId: text,
  connectionId: text.nullable(),
  peerConnectionId: text.optional(),
  nonce: text,
});

const handover = z.object({ kind: z.literal('handover'), epoch: epochSchema, from: epochSchema, final: z.boolean(), force: z.boolean() });

const control = z.object({ kind: z.literal('control'), control: controlSchema });

const command = z.object({
  kind: z.literal('command'),
  id: z.string().min(1).max(64),
  command: z.enum(['give', 'adopt', 'resolve', 'resolve-mirror', 'start-service']),
  reason: text,
  regenerate: z.boolean(),
  force: z.boolean(),
  resolve: z
    .object({
      mirror: z.string().max(255),
      survivor: text,
      judged: z.record(z.string().max(255), text),
      salvage: z.string().max(4_096).optional(),
    })
    .optional(),
  split: epochSchema.optional(),
});

const requestSchema: z.ZodType<Request> = z.discriminatedUnion('kind', [outdate, handover, control, command]);

/** Rule `outdate`: record that the element is old. */
export interface OutdateRequest extends OutdateOrder {
  readonly kind: 'outdate';
  readonly mirror: string;
}

/** Rule `handover`: the giver has released this epoch to the other node. */
export interface HandoverRequest {
  readonly kind: 'handover';
  readonly epoch: Epoch;
  readonly from: Epoch;
  readonly final: boolean;
  readonly force: boolean;
}

/** An operator switched automatic takeover. */
export interface ControlRequest {
  readonly kind: 'control';
  readonly control: PairRecord['control'];
}

/** A command that the other node must carry out. */
export interface CommandRequest {
  readonly kind: 'command';
  /** Asked for again with the same id until it has ended. */
  readonly id: string;
  readonly command: 'give' | 'adopt' | 'resolve' | 'resolve-mirror' | 'start-service';
  readonly reason: string;
  /** `give`: regenerate first. */
  readonly regenerate: boolean;
  readonly force: boolean;
  /** `resolve-mirror`: the order. */
  readonly resolve?: MirrorResolve | undefined;
  /** `resolve`: the epoch of another owner that the asker knows of. */
  readonly split?: Epoch | undefined;
}

/** What one node asks of the other. */
export type Request = OutdateRequest | HandoverRequest | ControlRequest | CommandRequest;

const handoverAnswer: z.ZodType<HandoverAnswer> = z.object({ answer: z.enum(['accepted', 'refused', 'later']), because: text });
const commandAnswer: z.ZodType<CommandAnswer> = z.object({ state: z.enum(['running', 'done', 'failed']), error: z.unknown().optional() });
const outdateAnswer = z.object({ outdated: z.literal(true), nonce: text });

/** What the other node answered to a hand-over. */
export interface HandoverAnswer {
  readonly answer: 'accepted' | 'refused' | 'later';
  readonly because: string;
}

/** How far a command is at the other node. */
export interface CommandAnswer {
  readonly state: 'running' | 'done' | 'failed';
  readonly error?: unknown;
}

/** Reads a request of the peer. Throws `HM_PROTOCOL` for anything else. */
export function parseRequest(body: Json): Request {
  return parse(requestSchema, body, 'request');
}

/** Reads an answer to `handover`. Throws `HM_PROTOCOL`. */
export function parseHandoverAnswer(body: Json): HandoverAnswer {
  return parse(handoverAnswer, body, 'answer to a hand-over');
}

/** Reads an answer to `command`. Throws `HM_PROTOCOL`. */
export function parseCommandAnswer(body: Json): CommandAnswer {
  return parse(commandAnswer, body, 'answer to a command');
}

/** Whether this is the confirmation of the `outdate` with that nonce (rule `outdate`: anything else is ignored). */
export function isOutdated(body: Json, nonce: string): boolean {
  const parsed = outdateAnswer.safeParse(body);
  return parsed.success && parsed.data.nonce === nonce;
}

/** Rules that an operator named; throws `RangeError` for one that does not exist. */
export function checkRules(names: readonly string[]): readonly Rule[] {
  const unknown = names.find((name) => !ruleNames.includes(name as Rule));
  if (unknown !== undefined) throw new RangeError(`there is no rule ${unknown}`);
  return names as readonly Rule[];
}

/** A message as it is sent. */
export function toJson(message: object): Json {
  return message as unknown as Json;
}

function parse<T>(schema: z.ZodType<T>, body: Json, what: string): T {
  const parsed = schema.safeParse(body);
  if (!parsed.success)
    throw new HotMirrorError('HM_PROTOCOL', `the peer sent a ${what} that makes no sense: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
