import type { SimulationSchedule } from '../simulation/schedule.ts';
import { describeSchedule } from './describe-schedule.ts';
import { promiseSentences } from './promises.ts';
import type { BrokenPromise } from './runner.ts';

/** A broken promise with all that it takes to understand it and to see it again. Plain data. */
export interface SwarmFailure {
  /** Null for a schedule that was given. */
  readonly seed: number | null;
  readonly invariant: BrokenPromise;
  readonly text: string;
  /** The last events of the run, a line each. */
  readonly lastEvents: readonly string[];
  readonly schedule: SimulationSchedule;
  /** A short one that breaks the same promise; null where nobody shrank it. */
  readonly shrunk: { readonly schedule: SimulationSchedule; readonly runs: number; readonly smallest: boolean } | null;
}

/** A failure for people. */
export function describeFailure({ seed, invariant, text, lastEvents, schedule, shrunk }: SwarmFailure): string {
  const shortest = shrunk?.schedule ?? schedule;
  const again = seed === null ? [] : [`the whole run again: hotmirror simulate --seed ${String(seed)}`];
  return [
    `${seed === null ? 'the schedule' : `seed ${String(seed)}`} broke ${invariant}: ${promiseSentences[invariant]}`,
    indented(text),
    `last events:`,
    ...lastEvents.map((line) => `  ${line}`),
    shrunk ? shrinking(schedule, shrunk) : 'the schedule, not shrunk:',
    indented(describeSchedule(shortest)),
    ...again,
    'the schedule above again: save the next line as FILE.json, then hotmirror simulate --schedule FILE.json',
    JSON.stringify(shortest),
  ].join('\n');
}

function shrinking({ steps }: SimulationSchedule, { schedule, runs, smallest }: NonNullable<SwarmFailure['shrunk']>): string {
  const how = smallest ? `${String(runs)} runs, nothing more can be left out` : `${String(runs)} runs, which is the bound`;
  return `shrunk from ${String(steps.length)} steps to ${String(schedule.steps.length)} (${how}):`;
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
