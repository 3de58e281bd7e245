import type { PlatformStep } from '../platform/platform-actions.ts';
import type { Journal } from './pair-record.ts';
import { maxReasonLength } from './pair-record.ts';

/** The journal of a sequence that begins. */
export function beginJournal(sequence: Journal['sequence'], epoch: number, reason: string): Journal {
  return { sequence, epoch, reason: reason.slice(0, maxReasonLength), done: [], running: null, state: 'running' };
}

/** Before a step is run: after a crash it may or may not be in effect. */
export function stepBegins(journal: Journal, step: PlatformStep): Journal {
  return { ...journal, running: step };
}

/** After a step has succeeded. */
export function stepEnds(journal: Journal, step: PlatformStep): Journal {
  return { ...journal, running: null, done: journal.done.includes(step) ? journal.done : [...journal.done, step] };
}

/** After the last step, or the one that failed for good. */
export function endJournal(journal: Journal, state: 'done' | 'failed'): Journal {
  return { ...journal, state };
}

/** Whether a start in this epoch goes on with what the journal tells, rather than from the beginning. */
export function resumes(journal: Journal | null, epoch: number): journal is Journal {
  return journal?.sequence === 'start' && journal.epoch === epoch;
}

/** Whether something of the service may still be up on a node that no longer serves: it crashed while serving, or while stopping. */
export function mayBeUp(journal: Journal | null): boolean {
  return journal !== null && !(journal.sequence === 'stop' && journal.state === 'done');
}
