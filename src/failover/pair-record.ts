import { z } from 'zod';

import { HotMirrorError } from '../errors.ts';
import type { Epoch } from '../epoch.ts';
import { noEpoch } from '../epoch.ts';
import type { PlatformStep } from '../platform/platform-actions.ts';
import { platformSteps } from '../platform/platform-actions.ts';

/** Automatic takeover on (`auto`) or off (`manual`). */
export type Control = 'auto' | 'manual';

/** Which node is at home as what: names of nodes. From the configuration at first, from the pair record ever after. */
export interface Homes {
  readonly primary: string;
  readonly standby: string;
}

/** `normal`: the home primary owns the service. `fallback`: the home standby does. */
export type Mode = 'normal' | 'fallback';

/** A change to the service's own steps that is under way or was finished: what is resumed after a crash. */
export interface Journal {
  /** `start` brings the service up, `stop` takes it down. */
  readonly sequence: 'start' | 'stop';
  /** Number of the epoch in which it began. */
  readonly epoch: number;
  /** Why, in words; steps are told. */
  readonly reason: string;
  /** Steps that are done, in their order. */
  readonly done: readonly PlatformStep[];
  /** The step that was begun and not finished. */
  readonly running: PlatformStep | null;
  readonly state: 'running' | 'done' | 'failed';
}

/**
 * What a node durably knows of the pair. One record is one atomic durable write; nothing that depends on a change happens before its write has
 * completed.
 */
export interface PairRecord {
  /** The pair's epoch: its number and the node that owns the service. {@link noEpoch} counts as "no record" (rule `boot.norecord`). */
  readonly epoch: Epoch;
  readonly homes: Homes;
  /** This node, the owner, gave its service away: the epoch that it released to the taker (rule `handover`). */
  readonly released: Epoch | null;
  /** This node will never accept a hand-over in this epoch or an earlier one (rule `handover`). 0: none was refused. */
  readonly refused: number;
  /** This node is about to take over with this epoch (rule `takeover.commit`). */
  readonly intent: Epoch | null;
  /** Another node holds the number of `epoch` as its owner: neither serves until an operator names the survivor (rule `boot.conflict`). */
  readonly conflict: Epoch | null;
  /** An operator's word outlives a crash; of two nodes' words the higher version is the later one. */
  readonly control: { readonly value: Control; readonly version: number };
  readonly journal: Journal | null;
}

/**
 * Holds the pair record of one node.
 *
 * Contract: `write` replaces the record as a whole and resolves when the new one is durable. After a rejection the next `load` finds the old or the
 * new one, never a mixture. Calls never overlap.
 */
export interface PairRecordStore {
  /** The record; null when none was ever written. Rejects with `HM_METADATA_CORRUPT` when there was one and it cannot be read. */
  load(): Promise<PairRecord | null>;
  /** Rejects with `HM_STATE_UNWRITABLE` or the device's error. */
  write(record: PairRecord): Promise<void>;
}

/** Longest reason kept in a journal, in characters. */
export const maxReasonLength = 200;

const nodeName = z.string().min(1).max(255);
const epochNumber = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** An epoch as it is written and sent: number 0 has no owner, every other has one. */
export const epochSchema: z.ZodType<Epoch> = z
  .strictObject({ number: epochNumber, owner: z.string().max(255) })
  .refine((epoch) => (epoch.number === 0) === (epoch.owner === ''), 'epoch 0 has no owner and every other has one');

/** Homes as they are written and sent. */
export const homesSchema: z.ZodType<Homes> = z
  .strictObject({ primary: nodeName, standby: nodeName })
  .refine((homes) => homes.primary !== homes.standby, 'the homes are two nodes');

/** The operator's word as it is written and sent. */
export const controlSchema: z.ZodType<PairRecord['control']> = z.strictObject({ value: z.enum(['auto', 'manual']), version: epochNumber });

const journalSchema: z.ZodType<Journal> = z.strictObject({
  sequence: z.enum(['start', 'stop']),
  epoch: epochNumber,
  reason: z.string().max(maxReasonLength),
  done: z.array(z.enum(platformSteps)).max(platformSteps.length),
  running: z.enum(platformSteps).nullable(),
  state: z.enum(['running', 'done', 'failed']),
});

const recordSchema: z.ZodType<PairRecord> = z.strictObject({
  epoch: epochSchema,
  homes: homesSchema,
  released: epochSchema.nullable(),
  refused: epochNumber,
  intent: epochSchema.nullable(),
  conflict: epochSchema.nullable(),
  control: controlSchema,
  journal: journalSchema.nullable(),
});

/** The record of a node that has not met its peer yet. */
export function newPairRecord(homes: Homes, control: Control): PairRecord {
  return {
    epoch: noEpoch,
    homes,
    released: null,
    refused: 0,
    intent: null,
    conflict: null,
    control: { value: control, version: 0 },
    journal: null,
  };
}

/** The record as the bytes that a store keeps. */
export function encodePairRecord(record: PairRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record));
}

/** Reads what {@link encodePairRecord} wrote. Throws `HM_METADATA_CORRUPT` for anything else: a record that is not understood is never guessed. */
export function decodePairRecord(bytes: Uint8Array): PairRecord {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new HotMirrorError('HM_METADATA_CORRUPT', 'the pair record is no JSON', { cause: error });
  }
  const parsed = recordSchema.safeParse(value);
  if (!parsed.success) throw new HotMirrorError('HM_METADATA_CORRUPT', `the pair record is not valid: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** The mode that follows from owner and homes; null while nobody owns the service. */
export function modeOf(epoch: Epoch, homes: Homes): Mode | null {
  if (epoch.owner === homes.primary) return 'normal';
  return epoch.owner === homes.standby ? 'fallback' : null;
}

/** The record after a change of epoch: whatever belonged to the earlier one is over. */
export function withEpoch(record: PairRecord, epoch: Epoch): PairRecord {
  return { ...record, epoch, released: null, intent: null, conflict: null };
}
