import { InvariantError } from '../simulation/invariant-error.ts';
import type { NodeName } from '../simulation/steps.ts';
import { nodeNames } from '../simulation/steps.ts';
import type { CrashChoice, Schedule } from './choices.ts';
import { spend } from './choices.ts';
import { completeExploration } from './options.ts';
import type { CompleteExploration, ExplorationBounds, ExplorationFinding, ExplorationOptions, ExplorationReport } from './options.ts';
import { SmallWorld } from './small-world.ts';
import { VisitedStates } from './visited-states.ts';
import type { StatePath } from './visited-states.ts';

/**
 * Executes every schedule of a small world within the bounds, each from the start: the shipped classes, one mirror of two extents. A schedule is what happens by
 * default, in the order of time, but for a few choices; a state that was seen before with at least as much left to choose ends its schedule.
 * Schedules with fewer choices come first, so that what is found is told as shortly as can be. Rejects with `RangeError` for options that make no sense.
 */
export async function explore(options: ExplorationOptions): Promise<ExplorationReport> {
  const exploration = new Exploration(completeExploration(options));
  await exploration.run();
  return exploration.report();
}

class Exploration {
  readonly #options: CompleteExploration;
  readonly #visited = new VisitedStates();
  /** Schedules to be executed, those with fewer choices first. */
  #waiting: Schedule[] = [[]];
  #next: Schedule[] = [];
  #schedules = 0;
  #events = 0;
  #cutOffs = 0;
  #settled = 0;
  #unfinished = 0;
  #longest = 0;
  #raised = 0;
  #left = 0;
  readonly #acknowledgedBy: Record<NodeName, number> = { alpha: 0, beta: 0 };
  readonly #findings: ExplorationFinding[] = [];

  constructor(options: CompleteExploration) {
    this.#options = options;
  }

  async run(): Promise<void> {
    for (; this.#waiting.length > 0; this.#waiting = this.#next, this.#next = []) {
      for (const [at, schedule] of this.#waiting.entries()) {
        const enough = this.#options.stopAtFirst && this.#findings.length > 0;
        if (enough || this.#schedules >= this.#options.maxSchedules) {
          this.#left = this.#next.length + this.#waiting.length - at;
          return;
        }
        await this.#execute(schedule);
      }
    }
  }

  report(): ExplorationReport {
    return {
      schedules: this.#schedules,
      events: this.#events,
      states: this.#visited.size,
      cutOffs: this.#cutOffs,
      settled: this.#settled,
      unfinished: this.#unfinished,
      longest: this.#longest,
      left: this.#left,
      acknowledgedBy: this.#acknowledgedBy,
      raised: this.#raised,
      compared: this.#visited.compared,
      mistaken: this.#visited.mistaken,
      findings: this.#findings,
    };
  }

  async #execute(schedule: Schedule): Promise<void> {
    const small = await SmallWorld.start(this.#options);
    this.#schedules += 1;
    const broken = await this.#broken(small, () => this.#follow(small, schedule));
    for (const node of nodeNames) if (small.acknowledged.some((one) => one.node === node)) this.#acknowledgedBy[node] += 1;
    if (small.raised) this.#raised += 1;
    if (broken) this.#findings.push({ ...broken, trace: await this.#trace(schedule) });
  }

  /** Runs, and gives what broke. */
  async #broken(small: SmallWorld, run: () => Promise<void>): Promise<{ readonly what: string; readonly text: string } | null> {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error;
      return { what: error.invariant, text: error.message };
    }
    const text = small.twoOwners();
    return text === null ? null : { what: 'two-owners', text };
  }

  /** The choices of the schedule, then the default, until a state is known or a promise is broken. */
  async #follow(small: SmallWorld, schedule: Schedule): Promise<void> {
    let budget = this.#options.bounds;
    const states = this.#visited.path();
    let at = 0;
    for (const [place, deviation] of schedule.entries()) {
      for (; at < deviation.at; at += 1) await this.#default(small);
      const before = effectsOf(small);
      await small.perform(deviation.choice);
      budget = spend(budget, deviation.choice);
      if (place === schedule.length - 1) this.#offerCrashesWithin(schedule, small, before, budget);
      at += 1;
    }
    const quiet = new Quiet(small, this.#options.quietMs);
    for (; at < this.#options.maxEvents && small.twoOwners() === null; at += 1) {
      const changed = quiet.look();
      const offers = changed || this.#options.points === 'all';
      if (offers || small.ticked) {
        const fresh = states.enter(await small.key(offers), { budget, quietMs: quiet.leftMs }, schedule);
        if (this.#options.recognise && !fresh) {
          this.#cutOffs += 1;
          await this.#goOn(small, states, quiet);
          break;
        }
      }
      if (quiet.over) {
        this.#settled += 1;
        break;
      }
      const alternatives = offers ? [...small.choices(budget)] : [];
      const before = effectsOf(small);
      if (!(await this.#default(small))) break;
      if (offers && this.#options.crashWithin && budget.crashes > 0) alternatives.push(...crashesWithin(small, before));
      for (const choice of alternatives) this.#next.push([...schedule, { at, choice }]);
    }
    if (at === this.#options.maxEvents) this.#unfinished += 1;
    this.#longest = Math.max(this.#longest, at);
  }

  /** The schedule again, with a crash within the write that is its last choice. */
  #offerCrashesWithin(schedule: Schedule, small: SmallWorld, before: readonly number[], budget: ExplorationBounds): void {
    const last = schedule.at(-1)!;
    const { choice } = last;
    if (!this.#options.crashWithin || budget.crashes === 0 || choice.do !== 'write' || choice.crash) return;
    for (const crash of crashesWithin(small, before))
      if (crash.node === choice.node) this.#next.push([...schedule.slice(0, -1), { ...last, choice: { ...choice, crash } }]);
  }

  /** Of some schedules that came to a known state: by default on, as long as it is known where the other one went. */
  async #goOn(small: SmallWorld, states: StatePath, quiet: Quiet): Promise<void> {
    const { followEvery } = this.#options;
    if (followEvery === 0 || this.#cutOffs % followEvery !== 0) return;
    while (!quiet.over && (await this.#default(small))) {
      const offers = quiet.look() || this.#options.points === 'all';
      if ((offers || small.ticked) && !states.follow(await small.key(offers))) return;
    }
  }

  async #default(small: SmallWorld): Promise<boolean> {
    const timer = small.next();
    if (!timer) return false;
    this.#events += 1;
    await small.fire(timer);
    return true;
  }

  /** The same schedule once more, told in words. */
  async #trace(schedule: Schedule): Promise<readonly string[]> {
    const small = await SmallWorld.start(this.#options);
    small.traced();
    const broken = await this.#broken(small, async () => {
      let at = 0;
      for (const deviation of schedule) {
        for (; at < deviation.at; at += 1) await this.#default(small);
        await small.perform(deviation.choice);
        at += 1;
      }
      for (; at < this.#options.maxEvents && small.twoOwners() === null; at += 1) if (!(await this.#default(small))) return;
    });
    return [...small.trace, broken ? `BROKEN: ${broken.what}: ${broken.text}` : 'nothing broke this time'];
  }
}

/** Notices when nothing but time goes on. */
class Quiet {
  readonly #small: SmallWorld;
  readonly #longestMs: number;
  #sign = '';
  #sinceMs = 0;

  constructor(small: SmallWorld, longestMs: number) {
    this.#small = small;
    this.#longestMs = longestMs;
  }

  /** Whether something has changed since the last look. */
  look(): boolean {
    const { sign, scheduled, world } = this.#small;
    const changed = sign !== this.#sign;
    this.#sign = sign;
    if (changed || scheduled > 0) this.#sinceMs = world.clock.nowMs();
    return changed;
  }

  get leftMs(): number {
    return this.#longestMs - (this.#small.world.clock.nowMs() - this.#sinceMs);
  }

  get over(): boolean {
    return this.leftMs <= 0;
  }
}

function effectsOf(small: SmallWorld): readonly number[] {
  return nodeNames.map((node) => small.effects(node));
}

/** A crash after each effect of the event that was just executed; after the last one it is a crash before the next event. */
function crashesWithin(small: SmallWorld, before: readonly number[]): readonly CrashChoice[] {
  return nodeNames.flatMap((node, at) => {
    const count = small.effects(node) - (before[at] ?? 0);
    return Array.from({ length: Math.max(0, count - 1) }, (_, effect) => small.crashes(node, effect + 1)).flat();
  });
}
