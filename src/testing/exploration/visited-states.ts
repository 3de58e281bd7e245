import type { Schedule } from './choices.ts';
import { covers } from './choices.ts';
import type { ExplorationBounds } from './options.ts';

/** What is left at a state: of each choice, and of the time for which nothing may change. */
export interface Remaining {
  readonly budget: ExplorationBounds;
  readonly quietMs: number;
}

interface Visited {
  /** With what it was explored. */
  explored: Remaining[];
  /** Where the default leads. */
  next: string | null;
  readonly first: Schedule;
}

/** Way of one schedule through the states. */
export interface StatePath {
  /** Arrives at a state; whether there is anything new to explore from it. */
  enter(key: string, remaining: Remaining, schedule: Schedule): boolean;
  /** Arrives at a state by default, only to compare; whether it is where the other schedule led, and the comparison can go on from there. */
  follow(key: string): boolean;
}

const mostMistaken = 20;

/** The states that were seen, with what was left to choose at each. */
export class VisitedStates {
  /** Pairs of schedules whose states looked the same and went on differently. */
  readonly mistaken: string[] = [];
  compared = 0;
  readonly #states = new Map<string, Visited>();

  get size(): number {
    return this.#states.size;
  }

  /** Begins the way of one schedule. */
  path(): StatePath {
    let last: Visited | null = null;
    let by: Schedule = [];
    const leadsTo = (key: string): boolean => {
      if (!last) return true;
      if (last.next !== null) this.compared += 1;
      last.next ??= key;
      if (last.next === key) return true;
      if (this.mistaken.length < mostMistaken) this.mistaken.push(`${JSON.stringify(last.first)} and ${JSON.stringify(by)}`);
      return false;
    };
    return {
      enter: (key, remaining, schedule) => {
        by = schedule;
        leadsTo(key);
        const known = this.#states.get(key);
        const state = known ?? { explored: [], next: null, first: schedule };
        if (!known) this.#states.set(key, state);
        last = state;
        if (state.explored.some((explored) => coversAll(explored, remaining))) return false;
        state.explored = [...state.explored.filter((explored) => !coversAll(remaining, explored)), remaining];
        return true;
      },
      follow: (key) => {
        if (last?.next === null || !leadsTo(key)) return false;
        last = this.#states.get(key) ?? null;
        return last !== null;
      },
    };
  }
}

function coversAll(one: Remaining, other: Remaining): boolean {
  return one.quietMs >= other.quietMs && covers(one.budget, other.budget);
}
