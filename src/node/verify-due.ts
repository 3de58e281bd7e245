import type { MirrorView } from '../failover/ports.ts';
import type { LoggedEvent } from './control-protocol.ts';

/** What the event log tells of verifies: times are wall time in ms. */
export interface VerifyHistory {
  /** Of the oldest event that is kept; null: there is none. */
  readonly oldestMs: number | null;
  /** When the last verify of a mirror finished on this node, by mirror. */
  readonly finishedMs: ReadonlyMap<string, number>;
}

/** A mirror that is verified by the calendar, as it is now. */
export interface DueMirror {
  readonly name: string;
  /** Wall time in ms from which it is to be verified. */
  readonly dueMs: number;
  /** What keeps it from being verified now; null: nothing. */
  readonly bar: string | null;
}

/** What the calendar does next: verifies a mirror, or looks again after a while or when something changes. */
export type NextVerify = { readonly verify: string } | { readonly waitMs: number };

/** The longest wait between two looks: timers are bounded, and the wall clock may be set. */
const longestWaitMs = 3_600_000;

/** Reads an event log for {@link VerifyHistory}. */
export async function verifyHistory(events: AsyncIterable<LoggedEvent>): Promise<VerifyHistory> {
  const finishedMs = new Map<string, number>();
  let oldestMs: number | null = null;
  for await (const { event, mirror, time } of events) {
    const atMs = Date.parse(time);
    oldestMs ??= atMs;
    if (event === 'verify:finished' && mirror !== undefined) finishedMs.set(mirror, atMs);
  }
  return { oldestMs, finishedMs };
}

/**
 * When a mirror is due: so long after its last verify. Without one it counts from the oldest event that is kept, so that a node which is restarted often comes to its
 * first verify all the same. What lies in the future was written before the wall clock was set back, and counts as now.
 */
export function dueMs(lastFinishedMs: number | null, countsFromMs: number, everyMs: number, nowMs: number): number {
  return Math.min(lastFinishedMs ?? countsFromMs, nowMs) + everyMs;
}

/** Why a mirror cannot be verified from this node now (rule verify); null where it can. */
export function verifyBar({ role, connection, peerElement, resync, resyncPaused = null }: MirrorView): string | null {
  if (role === 'target') return 'the other node serves';
  if (role === 'none' || connection !== 'connected') return 'the peer is not connected';
  if (resync !== null) return 'a resync runs';
  if (peerElement !== 'uptodate') return `the peer's element is ${peerElement}`;
  // A verify goes by the same control, and would stand still with it.
  return resyncPaused === null ? null : `resyncs stand still: ${resyncPaused}`;
}

/** One verify at a time: of those that are due and can run, the one that has been for longest. */
export function nextVerify(mirrors: readonly DueMirror[], running: boolean, nowMs: number): NextVerify {
  const [first] = mirrors
    .filter((mirror) => mirror.dueMs <= nowMs && mirror.bar === null)
    .toSorted((one, other) => one.dueMs - other.dueMs);
  if (first && !running) return { verify: first.name };
  const ahead = mirrors.map((mirror) => mirror.dueMs - nowMs).filter((ms) => ms > 0);
  return { waitMs: Math.min(longestWaitMs, ...ahead) };
}
