import type { SimulationEntry } from './entry.ts';

/** An entry, and how often the same happened before it. */
export interface FoldedEntry {
  readonly entry: SimulationEntry;
  /** 1: once. */
  readonly times: number;
  /** When it first happened, of those times. */
  readonly sinceMs: number;
}

/** Entries that are looked at: what repeats itself for longer is told with the times of these. */
const mostLooked = 5_000;
/** What a step did and what a state is are told as they are: a number makes them another. */
const exact = /^fault:|:state$|^operator:|^invariant:/u;
const numbers = /\b(?:[0-9a-f]{8,}|\d[\d,.]*)\b/gu;

/**
 * The last that happened, oldest first: `most` things that differ in more than numbers, each where it happened last. Left out is what only says that all
 * goes well: platform steps that ended, and the journal of them.
 */
export function lastEvents(log: readonly SimulationEntry[], most: number): readonly FoldedEntry[] {
  const folded = new Map<string, FoldedEntry>();
  const ended = new Set<string>();
  for (const entry of log.slice(-mostLooked).reverse()) {
    if (goesWell(entry, ended)) continue;
    const key = keyOf(entry);
    const later = folded.get(key);
    if (!later && folded.size === most) break;
    folded.set(key, { entry: later?.entry ?? entry, times: (later?.times ?? 0) + 1, sinceMs: entry.atMs });
  }
  return [...folded.values()].reverse();
}

/** That it happened before, in words; nothing where it did not. `moment` writes a time. */
export function timesInWords({ times, sinceMs }: FoldedEntry, moment: (atMs: number) => string): string {
  return times === 1 ? '' : ` (${String(times)} times since ${moment(sinceMs)})`;
}

/** `ended` holds the steps that ended later. */
function goesWell({ node, event, evidence }: SimulationEntry, ended: Set<string>): boolean {
  if (event === 'record:written') return String(evidence?.['why']).endsWith('journal');
  const step = `${node} ${String(evidence?.['step'])}`;
  if (event === 'step:finished' || event === 'step:failed') ended.add(step);
  return event === 'step:finished' || (event === 'step:started' && ended.delete(step));
}

function keyOf({ node, event, mirror, text }: SimulationEntry): string {
  return JSON.stringify([node, event, mirror, exact.test(event) ? text : text.replace(numbers, '#')]);
}
