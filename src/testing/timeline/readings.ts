import type { TimelineEntry } from './entry.ts';

/*
 * What an entry says beyond its common fields. A simulation says it in its evidence; the log of a real node has some of it in its sentence only.
 */

/** A field of the evidence, of whatever type. */
export function evidenceOf(entry: TimelineEntry, name: string): unknown {
  return entry.evidence?.[name];
}

/** A field of the evidence that is text; otherwise what the pattern's first group finds in the sentence. Null where neither says it. */
export function said(entry: TimelineEntry, name: string, pattern: RegExp): string | null {
  const value = evidenceOf(entry, name);
  return typeof value === 'string' ? value : (pattern.exec(entry.text)?.[1] ?? null);
}

/** `link:changed`: which monitor link. */
export function monitorLinkOf(entry: TimelineEntry): string | null {
  return said(entry, 'link', /^Monitor link (.+?) is (?:up|late|down) \(was /u);
}

/** `link:changed`, `peer:changed`: the new state. */
export function newStateOf(entry: TimelineEntry): string | null {
  return said(entry, 'to', / is (\w+) \(was /u);
}

/** `mode:changed`, `node:state`: the mode; null while there is none. */
export function modeOf(entry: TimelineEntry): 'normal' | 'fallback' | null {
  const mode = said(entry, 'mode', /^the mode is (\w+)/u);
  return mode === 'normal' || mode === 'fallback' ? mode : null;
}

/** `epoch:raised`, `node:state`: the epoch as people write it (`3/alpha`). Null while there is none. */
export function epochOf(entry: TimelineEntry): string | null {
  const epoch = evidenceOf(entry, 'epoch');
  if (typeof epoch === 'number') return epoch === 0 ? null : joined(epoch, evidenceOf(entry, 'owner'));
  if (typeof epoch === 'object' && epoch !== null) {
    const { number, owner } = epoch as { readonly number?: unknown; readonly owner?: unknown };
    return typeof number === 'number' && number > 0 ? joined(number, owner) : null;
  }
  return /^the epoch is (\d+\/\S+)/u.exec(entry.text)?.[1] ?? null;
}

/** `control:changed`, `node:state`. */
export function controlOf(entry: TimelineEntry): string | null {
  return said(entry, 'control', /^control is (\w+)/u);
}

/** `boot:decided`: what the boot table says. */
export function bootActionOf(entry: TimelineEntry): string | null {
  return said(entry, 'action', /^\S+: ([\w-]+), /u);
}

/** `alone:decided`: what rule alone says. */
export function aloneActionOf(entry: TimelineEntry): string | null {
  return said(entry, 'action', / without its peer: ([\w-]+), /u);
}

/** `step:started`, `step:finished`, `step:failed`: which step. */
export function stepOf(entry: TimelineEntry): string {
  return said(entry, 'step', /^(\w+) (?:started|finished|failed)/u) ?? entry.text;
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
