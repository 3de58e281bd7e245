import type { TimelineEntry } from './entry.ts';
import type { MarkKind } from './looks.ts';
import { said } from './readings.ts';

const kinds: Readonly<Record<string, MarkKind>> = {
  'takeover:decided': 'decision',
  'alone:decided': 'decision',
  'boot:decided': 'decision',
  'lineage:decided': 'decision',
  'handover:finished': 'decision',
  'takeover:blocked': 'refusal',
  'takeover:aborted': 'refusal',
  'epoch:refused': 'refusal',
  'split:detected': 'refusal',
  'element:failed': 'refusal',
  'step:failed': 'refusal',
  'record:failed': 'refusal',
  'order:failed': 'refusal',
  'thread:died': 'refusal',
  'fault:begun': 'fault',
  'operator:asked': 'order',
  'operator:answered': 'order',
  'invariant:broken': 'broken',
};
/** Of a verdict about the peer; suspicion comes and goes. */
const lastingVerdicts: ReadonlySet<string> = new Set(['up', 'down', 'left']);
const traffic = /^(?:token|write|read|flush):/u;

/** The mark that an entry gets, if it gets one. */
export function markOf(entry: TimelineEntry): MarkKind | null {
  if (entry.event === 'peer:changed') return lastingVerdicts.has(said(entry, 'to') ?? '') ? 'decision' : null;
  return kinds[entry.event] ?? null;
}

/** Whether an entry is one of many of its kind, told only in detail. */
export function isTraffic({ event }: TimelineEntry): boolean {
  return traffic.test(event);
}
