import { z } from 'zod';

import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import { regionBytes } from './activity-log.ts';
import type { ElementState } from './state.ts';

/**
 * What an element durably knows of itself (semantics 3). `uptodate` is never stored: after a start nobody knows that any more (rule element.start).
 */
export interface ElementMetadata {
  /** Null for a blank element. */
  readonly mirrorId: string | null;
  readonly sizeBytes: number;
  readonly extentBytes: number;
  readonly state: Exclude<ElementState, 'uptodate' | 'absent'>;
  /** Why the element failed or was switched off; empty otherwise. */
  readonly note: string;
  /** `off` and not even complete: brought back it is `inconsistent` again, not `outdated`. */
  readonly offInconsistent: boolean;
  readonly epoch: Epoch;
  /** Written before serving in it. */
  readonly servedEpoch: number;
  /** Since both elements were last equal this one was served by protocol `async`: it may hold writes that were completed and never reached the other. */
  readonly mayBeAhead: boolean;
  readonly current: string | null;
  readonly base: string | null;
  readonly history: readonly string[];
  /** The current generation was offered to the peer (lineage.adopt), which may hold it: going alone again mints anew. */
  readonly offered: boolean;
  /** No write and no flush was begun alone since the current generation was minted, and nothing was dirty then (rule lineage.unchanged). */
  readonly unchanged: boolean;
  /** An operator's word that this element gives way (rule lineage.resolve); null without one. */
  readonly gaveWay: GaveWay | null;
  /** Source and target of an unfinished full copy hold the same id, so that it can go on (rule resync.progress). */
  readonly resyncId: string | null;
  /** In use now: found set at a start, the node had crashed. */
  readonly inUse: boolean;
  readonly crashed: boolean;
  /** The activity log: regions in which the elements may differ. */
  readonly activeRegions: readonly number[];
}

/** The word of an operator about one split: it counts only while this element holds the generation that was judged. */
export interface GaveWay {
  /** The generation of this element that was judged. */
  readonly own: string;
  /** The generation of the survivor that was judged. */
  readonly to: string;
}

/** Earlier generations that are remembered. */
export const historyLength = 16;

/** Longest note kept, in characters. */
const noteLength = 256;

/** Default unit of dirty tracking. */
export const defaultExtentBytes = 65_536;

/** The form of mirror and generation ids, stored or sent. */
export const idSchema: z.ZodType<string> = z.string().regex(/^[0-9a-f]{16,32}$/u);

const count = z.number().int().nonnegative();

const fields = z.strictObject({
  mirrorId: idSchema.nullable(),
  sizeBytes: count,
  extentBytes: count.positive(),
  state: z.enum(['consistent', 'outdated', 'inconsistent', 'failed', 'off']),
  note: z.string(),
  offInconsistent: z.boolean().default(false),
  epoch: z.strictObject({ number: count, owner: z.string() }),
  servedEpoch: count,
  // Absent in metadata of versions without protocol async.
  mayBeAhead: z.boolean().default(false),
  current: idSchema.nullable(),
  base: idSchema.nullable(),
  history: z.array(idSchema).max(historyLength),
  offered: z.boolean(),
  unchanged: z.boolean().default(false),
  gaveWay: z.strictObject({ own: idSchema, to: idSchema }).nullable().default(null),
  resyncId: idSchema.nullable(),
  inUse: z.boolean(),
  crashed: z.boolean(),
  activeRegions: z.array(count),
});

/** Each alone is possible, and what fits nothing else must not be acted upon: the mirror would be lost in it, or answer for ever. */
const schema = fields
  .refine(
    ({ mirrorId, current }) => (mirrorId === null) === (current === null),
    'a mirror without a generation, or a generation without a mirror',
  )
  .refine(({ extentBytes }) => regionBytes % extentBytes === 0, 'regions are not whole extents')
  .refine(
    ({ sizeBytes, activeRegions }) => activeRegions.every((region) => region * regionBytes < sizeBytes),
    'a region beyond the mirror',
  );

/**
 * A new generation: what was current becomes the base, because the peer may hold it (rule lineage.mint). `unchanged`: the element still holds what it held
 * under the old one. An operator's word about the old generation says nothing about the new one.
 */
export function mintedFrom(metadata: ElementMetadata, generation: string, unchanged: boolean): Partial<ElementMetadata> {
  const { base, current, history } = metadata;
  return { current: generation, base: current, history: remember(base, history), offered: false, unchanged, gaveWay: null };
}

/** The peer holds the current generation now: base and map are dropped (rule lineage.adopt). */
export function settledFrom(metadata: ElementMetadata): Partial<ElementMetadata> {
  return { base: null, history: remember(metadata.base, metadata.history), offered: false, ...settled };
}

/** What holds of an element that is the same as its peer's. */
export const settled = { resyncId: null, crashed: false, mayBeAhead: false, unchanged: false, gaveWay: null } as const;

/** Whether the peer cannot hold the current generation, so that no new one is needed to write alone. */
export function isMinted(metadata: ElementMetadata): boolean {
  return metadata.base !== null && !metadata.offered;
}

/** The element failed, and why; it stays so until an operator replaces it. */
export function failedBy({ message }: HotMirrorError): Partial<ElementMetadata> {
  return { state: 'failed', note: message.slice(0, noteLength) };
}

/** An operator takes the element out. */
export function takenOut({ state, offInconsistent }: ElementMetadata): Partial<ElementMetadata> {
  return { state: 'off', note: 'taken out by an operator', offInconsistent: state === 'off' ? offInconsistent : state === 'inconsistent' };
}

/** An operator brings it back: it may lack what was written since. */
export function broughtBack({ offInconsistent }: ElementMetadata): Partial<ElementMetadata> {
  return { state: offInconsistent ? 'inconsistent' : 'outdated', note: '', offInconsistent: false };
}

function remember(generation: string | null, history: readonly string[]): readonly string[] {
  return generation === null ? history : [generation, ...history].slice(0, historyLength);
}

/** The stored form. */
export function encodeMetadata(metadata: ElementMetadata): Uint8Array {
  return Buffer.from(JSON.stringify(metadata), 'utf8');
}

/** Reads the stored form; anything but that is `HM_METADATA_CORRUPT`. */
export function decodeMetadata(payload: Uint8Array): ElementMetadata {
  try {
    return schema.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
  } catch (cause) {
    throw new HotMirrorError('HM_METADATA_CORRUPT', 'the metadata carries a valid checksum and makes no sense', { cause });
  }
}
