import type { Rule } from '../rules.ts';
import type { LinkState, PeerState, Verdict, WatchState } from './types.ts';

/** What is known of one source of life: a monitor link, or a data link. */
export interface SourceView {
  readonly name: string;
  readonly state: LinkState;
  /** Silence since the last sign of life, or since the monitor began anew, whichever is shorter. */
  readonly silentMs: number;
  /** How long this silence is borne: the deadline, or longer. */
  readonly borneMs: number;
  /** The last sign of life; null for never. */
  readonly lastSeenMs: number | null;
}

/** All that a verdict depends on. */
export interface Observation {
  readonly nowMs: number;
  readonly deadlineMs: number;
  readonly watch: WatchState;
  /** Why verdicts are paused; empty when they are not. */
  readonly pausedBecause: readonly string[];
  /** The peer gave a sign of life since the start. */
  readonly seen: boolean;
  /** Why an operator allowed a verdict about a peer never seen; null when none did. */
  readonly unseenBecause: string | null;
  /** The peer said goodbye and has not come back. */
  readonly left: boolean;
  /** The monitor links. */
  readonly links: readonly SourceView[];
  /** Every other source: the data links. */
  readonly sources: readonly SourceView[];
}

/**
 * Judges the peer (rules `watch.all`, `watch.start`, `node.leave`). Pure and without memory.
 *
 * Of the states only `down` is a verdict on which somebody may act, so everything that speaks against it is asked first.
 */
export function judge(seen: Observation): Verdict {
  const all = [...seen.links, ...seen.sources];
  const verdict = (state: PeerState, rule: Rule, because: string): Verdict => ({ state, rule, because, evidence: evidenceOf(seen) });

  if (seen.left) return verdict('left', 'node.leave', 'the peer said goodbye and has not come back');
  if (!seen.seen && seen.unseenBecause === null)
    return verdict('unknown', 'watch.start', 'the peer was not seen since this monitor started');

  const alive = all.filter(({ state }) => state === 'up').map(({ name }) => name);
  if (alive.length > 0) return verdict('up', 'watch.all', `heard on ${alive.join(', ')}`);

  const unproven: PeerState = seen.seen ? 'suspect' : 'unknown';
  const waiting = all.filter(({ silentMs, borneMs }) => silentMs <= borneMs).map(({ name }) => name);
  if (waiting.length > 0)
    return verdict(unproven, 'watch.all', `every link is late, but not yet silent for longer than is borne: ${waiting.join(', ')}`);
  if (seen.watch === 'grace') return verdict(unproven, 'watch.start', 'every link is silent, but the initial grace is not over');
  if (seen.watch === 'paused')
    return verdict(unproven, 'takeover.auto', `every link is silent, but verdicts are paused: ${seen.pausedBecause.join(', ')}`);
  const borneMs = Math.round(Math.min(...all.map((source) => source.borneMs)));
  return verdict('down', 'watch.all', `every link is silent for more than ${String(borneMs)} ms`);
}

function evidenceOf(seen: Observation): Verdict['evidence'] {
  const { nowMs, deadlineMs, watch, pausedBecause, unseenBecause, links, sources } = seen;
  return {
    nowMs,
    deadlineMs,
    watch,
    links,
    sources,
    ...(pausedBecause.length > 0 ? { pausedBecause } : {}),
    ...(unseenBecause === null ? {} : { unseenBecause }),
  };
}
