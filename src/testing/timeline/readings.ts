import type { TimelineEntry } from './entry.ts';

/*
 * What an entry says in its evidence.
 */

/** A field of the evidence, of whatever type. */
export function evidenceOf(entry: TimelineEntry, name: string): unknown {
  return entry.evidence?.[name];
}

/** A field of the evidence that is text, such as the new state of `link:changed` (`to`); null where it is none. */
export function said(entry: TimelineEntry, name: string): string | null {
  const value = evidenceOf(entry, name);
  return typeof value === 'string' ? value : null;
}

/** `mode:changed`, `node:state`: the mode; null while there is none. */
export function modeOf(entry: TimelineEntry): 'normal' | 'fallback' | null {
  const mode = said(entry, 'mode');
  return mode === 'normal' || mode === 'fallback' ? mode : null;
}

/** `epoch:raised`, `node:state`: the epoch as people write it (`3/alpha`). Null while there is none. */
export function epochOf(entry: TimelineEntry): string | null {
  const epoch = evidenceOf(entry, 'epoch');
  if (typeof epoch === 'number') return epoch === 0 ? null : joined(epoch, evidenceOf(entry, 'owner'));
  if (typeof epoch !== 'object' || epoch === null) return null;
  const { number, owner } = epoch as { readonly number?: unknown; readonly owner?: unknown };
  return typeof number === 'number' && number > 0 ? joined(number, owner) : null;
}

/** `step:started`, `step:finished`, `step:failed`: which step. */
export function stepOf(entry: TimelineEntry): string {
  return said(entry, 'step') ?? entry.text;
}

/** How much of a resync is done, from 0 to 1; null where the value is no progress. */
export function fractionOf(progress: unknown): number | null {
  if (typeof progress !== 'object' || progress === null) return null;
  const { doneBytes, totalBytes } = progress as { readonly doneBytes?: unknown; readonly totalBytes?: unknown };
  if (typeof doneBytes !== 'number' || typeof totalBytes !== 'number') return null;
  return totalBytes > 0 ? Math.min(1, Math.max(0, doneBytes / totalBytes)) : 1;
}

function joined(number: number, owner: unknown): string {
  return typeof owner === 'string' && owner !== '' ? `${String(number)}/${owner}` : String(number);
}
