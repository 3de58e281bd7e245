import type { PairSimulationOptions } from '../simulation/options.ts';
import type { SimulationSchedule } from '../simulation/schedule.ts';
import type { SimulationStep } from '../simulation/steps.ts';
import { simplerOptions } from './simpler-options.ts';

/** What {@link shrink} came to. */
export interface Shrunk {
  readonly schedule: SimulationSchedule;
  /** Candidates that were tried. */
  readonly runs: number;
  /** Whether nothing more can be left out; false where the bound came first. */
  readonly smallest: boolean;
}

/** Shorter runs that are tried in place of one, in ms. */
const shorterRunsMs: readonly number[] = [0, 1, 10, 100, 1_000, 5_000];

/**
 * Makes a failing schedule short and plain: leaves steps out (halves, quarters, … single ones), joins and shortens runs, and brings options to their
 * defaults, as long as `stillFails` says that it fails in the same way. Deterministic; asks `stillFails` at most `maxRuns` times.
 */
export async function shrink(
  schedule: SimulationSchedule,
  stillFails: (candidate: SimulationSchedule) => Promise<boolean>,
  maxRuns: number,
): Promise<Shrunk> {
  const shrinking = new Shrinking(schedule, stillFails, maxRuns);
  // One pass makes room for another: without a mirror some steps are idle, without steps some options are.
  do {
    await shrinking.leaveStepsOut();
    await shrinking.simplifyOptions();
    await shrinking.shortenRuns();
  } while (shrinking.progressed());
  return shrinking.result();
}

class Shrinking {
  readonly #stillFails: (candidate: SimulationSchedule) => Promise<boolean>;
  readonly #maxRuns: number;
  #best: SimulationSchedule;
  #runs = 0;
  #improved = false;
  #smallest = false;

  constructor(schedule: SimulationSchedule, stillFails: (candidate: SimulationSchedule) => Promise<boolean>, maxRuns: number) {
    this.#best = schedule;
    this.#stillFails = stillFails;
    this.#maxRuns = maxRuns;
  }

  /** Whether the last pass found anything, and another may. */
  progressed(): boolean {
    const again = this.#improved && this.#left();
    this.#smallest = !this.#improved && this.#left();
    this.#improved = false;
    return again;
  }

  result(): Shrunk {
    return { schedule: this.#best, runs: this.#runs, smallest: this.#smallest };
  }

  /** Delta debugging, from the end: what comes after the failure goes first. */
  async leaveStepsOut(): Promise<void> {
    for (let size = Math.ceil(this.#best.steps.length / 2); size >= 1 && this.#left(); size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let end = this.#best.steps.length; end > 0 && this.#left(); end -= size) {
        const { steps } = this.#best;
        const from = Math.max(0, end - size);
        await this.#trySteps([...steps.slice(0, from), ...steps.slice(end)]);
      }
    }
  }

  async shortenRuns(): Promise<void> {
    await this.#trySteps(joinRuns(this.#best.steps));
    for (let at = this.#best.steps.length - 1; at >= 0; at -= 1) {
      const step = this.#best.steps[at];
      if (step?.do !== 'run') continue;
      for (const forMs of shorterRunsMs.filter((ms) => ms < step.forMs)) {
        const { steps } = this.#best;
        if (await this.#trySteps([...steps.slice(0, at), { do: 'run', forMs }, ...steps.slice(at + 1)])) break;
      }
    }
  }

  async simplifyOptions(): Promise<void> {
    let simpler = simplerOptions(this.#best.options);
    for (let at = 0; at < simpler.length && this.#left();) {
      const plainer = await this.#try({ ...this.#best, ...fit(simpler[at]!, this.#best.steps) });
      if (plainer) simpler = simplerOptions(this.#best.options);
      // What has become plainer is not among the attempts any more, so the next one is in its place.
      else at += 1;
    }
  }

  #trySteps(steps: readonly SimulationStep[]): Promise<boolean> {
    return this.#try({ ...this.#best, steps });
  }

  async #try(candidate: SimulationSchedule): Promise<boolean> {
    if (!this.#left() || JSON.stringify(candidate) === JSON.stringify(this.#best)) return false;
    this.#runs += 1;
    if (!(await this.#stillFails(candidate))) return false;
    this.#best = candidate;
    this.#improved = true;
    return true;
  }

  #left(): boolean {
    return this.#runs < this.#maxRuns;
  }
}

/** Two runs in a row are one. */
function joinRuns(steps: readonly SimulationStep[]): readonly SimulationStep[] {
  const joined: SimulationStep[] = [];
  for (const step of steps) {
    const last = joined.at(-1);
    if (step.do === 'run' && last?.do === 'run') joined[joined.length - 1] = { do: 'run', forMs: last.forMs + step.forMs };
    else joined.push(step);
  }
  return joined;
}

/** With steps that name only what these options still have. */
function fit(options: PairSimulationOptions, steps: readonly SimulationStep[]): Pick<SimulationSchedule, 'options' | 'steps'> {
  const mirrors = new Set(options.mirrors?.map(({ name }) => name) ?? ['m0']);
  const links = new Set([...[...mirrors].map((name) => `data:${name}`), ...(options.monitorLinks ?? ['mon1', 'mon2']), 'data', 'all']);
  const fits = (step: SimulationStep): boolean => {
    if ('link' in step) return links.has(step.link);
    return !('mirror' in step) || mirrors.has(step.mirror);
  };
  return { options, steps: steps.filter(fits) };
}
