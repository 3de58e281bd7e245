import type { NodeName } from '../simulation/steps.ts';
import type { ExplorationBounds, PartitionWay } from './options.ts';

/** A deviation from what happens by default, which is the next event in the order of time. */
export type Choice =
  /** The delivery `held` waits until the timer `behind` has fired; both are named by the order in which they were set. */
  | { readonly do: 'postpone'; readonly held: number; readonly behind: number; readonly text: string }
  /** The process dies: at once, or after so many effects of the next event. */
  | { readonly do: 'crash'; readonly node: NodeName; readonly afterEffects: number; readonly rebootAfterMs: number }
  | { readonly do: 'partition'; readonly way: PartitionWay; readonly healAfterMs: number | null }
  /** With a crash the process dies after so many effects of what the write leads to at once. */
  | { readonly do: 'write'; readonly node: NodeName; readonly crash?: CrashChoice };

/** A crash, as a choice. */
export type CrashChoice = Extract<Choice, { readonly do: 'crash' }>;

/** A choice and the point of the schedule at which it is made. */
export interface Deviation {
  readonly at: number;
  readonly choice: Choice;
}

/** Every point that is not named takes the default. */
export type Schedule = readonly Deviation[];

const costs: Readonly<Record<Choice['do'], keyof ExplorationBounds>> = {
  postpone: 'postponements',
  crash: 'crashes',
  partition: 'partitions',
  write: 'writes',
};

/** What is left after a choice. */
export function spend(budget: ExplorationBounds, choice: Choice): ExplorationBounds {
  const name = costs[choice.do];
  const left = { ...budget, [name]: budget[name] - 1 };
  return choice.do === 'write' && choice.crash ? spend(left, choice.crash) : left;
}

/** Whether one budget allows all that another allows. */
export function covers(one: ExplorationBounds, other: ExplorationBounds): boolean {
  return Object.values(costs).every((name) => one[name] >= other[name]);
}

/** A choice in words. */
export function describeChoice(choice: Choice): string {
  switch (choice.do) {
    case 'postpone':
      return choice.text;
    case 'crash': {
      const when = choice.afterEffects === 0 ? 'now' : `after ${String(choice.afterEffects)} effects of the next event`;
      return `${choice.node} crashes ${when} and starts again after ${String(choice.rebootAfterMs)} ms`;
    }
    case 'partition': {
      const what = choice.way === 'both' ? 'every link is cut' : `what ${choice.way} sends is lost on its way`;
      return `${what}, ${choice.healAfterMs === null ? 'for good' : `for ${String(choice.healAfterMs)} ms`}`;
    }
    case 'write': {
      const { node, crash } = choice;
      const dies = crash
        ? `, which crashes after ${String(crash.afterEffects)} effects of that and starts again after ${String(crash.rebootAfterMs)} ms`
        : '';
      return `the application writes at ${node}${dies}`;
    }
  }
}
