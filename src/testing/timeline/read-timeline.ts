import { HotMirrorError } from '../../errors.ts';
import type { TimelineEntry } from './entry.ts';

const classes: readonly unknown[] = [0, 1, 2, 3];

/**
 * Reads an event log, one JSON object a line, as `events.jsonl` and `hotmirror events --json` have it. Empty lines are skipped.
 * Throws `HM_PROTOCOL` with the number of a line that is no entry.
 */
export function readTimeline(jsonl: string): TimelineEntry[] {
  return jsonl.split('\n').flatMap((line, index) => (line.trim() === '' ? [] : [entryOf(line, index + 1)]));
}

function entryOf(line: string, lineNumber: number): TimelineEntry {
  try {
    const value: unknown = JSON.parse(line);
    if (isEntry(value)) return value;
  } catch {
    // Told below, as any other line that is no entry.
  }
  throw new HotMirrorError('HM_PROTOCOL', `line ${String(lineNumber)} is no entry of an event log`);
}

function isEntry(value: unknown): value is TimelineEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { schema, seq, time, node, event, text, ...rest } = value as Readonly<Record<string, unknown>>;
  return (
    schema === 1 &&
    Number.isSafeInteger(seq) &&
    [time, node, event, text].every((field) => typeof field === 'string') &&
    classes.includes(rest['class'])
  );
}
