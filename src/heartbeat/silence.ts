import type { SilenceEvidence } from './types.ts';

/** All that fresh silence depends on. Times are of this node's monotonic clock. */
export interface SilenceInput {
  readonly nowMs: number;
  /** From when the asker wants it counted, such as the loss of the data link. */
  readonly sinceMs: number;
  /** When the monitor began anew: its start, or its last late wake-up. */
  readonly freshSinceMs: number;
  /** The monitor is overdue at this moment: it stood still and has not noticed yet. */
  readonly asleep: boolean;
  readonly deadlineMs: number;
  /** The monitor links: the last sign of life, and the last token sent or dial that failed. */
  readonly links: readonly { readonly lastSeenMs: number | null; readonly attemptedMs: number | null }[];
  /** The last sign of life of every other source. */
  readonly sources: readonly { readonly lastSeenMs: number | null }[];
}

/**
 * Whether every link stayed silent for a full deadline of fresh probes (rule `alone`). Pure.
 *
 * A probe is fresh when it was sent after the silence began: what was sent before may have been answered before. A link without a connection is probed by dialling it.
 */
export function freshSilence(input: SilenceInput): SilenceEvidence {
  const { nowMs, sinceMs, freshSinceMs, asleep, deadlineMs, links, sources } = input;
  const heard = [...links, ...sources].flatMap(({ lastSeenMs }) => lastSeenMs ?? []);
  const lastHeardMs = heard.length > 0 ? Math.max(...heard) : null;
  const countedFromMs = asleep ? Math.max(sinceMs, nowMs) : Math.max(sinceMs, freshSinceMs);
  const silentFromMs = Math.max(countedFromMs, lastHeardMs ?? countedFromMs);
  const probed = links.every(({ attemptedMs }) => attemptedMs !== null && attemptedMs >= silentFromMs);
  return {
    silent: probed && nowMs - silentFromMs > deadlineMs,
    countedFromMs,
    lastHeardMs,
    deadlineMs,
    earliestMs: silentFromMs + deadlineMs,
  };
}
