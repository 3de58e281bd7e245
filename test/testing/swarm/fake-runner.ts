import { InvariantError } from '../../../src/testing/simulation/invariant-error.ts';
import type { SimulationEntry } from '../../../src/testing/simulation/entry.ts';
import type { SimulationStep } from '../../../src/testing/simulation/steps.ts';
import type { SimulationRunner, StartRunner } from '../../../src/testing/swarm/runner.ts';

/** A pair that notes what it is told and does what the test says at each step, and when it settles. */
export class FakeRunner implements SimulationRunner {
  readonly log: SimulationEntry[] = [];
  readonly steps: SimulationStep[] = [];
  nowMs = 0;
  acknowledged = 0;
  closed = false;
  readonly #script: FakeScript;

  constructor(script: FakeScript) {
    this.#script = script;
  }

  async perform(step: SimulationStep): Promise<void> {
    this.steps.push(step);
    this.nowMs += step.do === 'run' ? step.forMs : 0;
    this.acknowledged += 1;
    this.log.push({
      schema: 1,
      seq: this.log.length + 1,
      atMs: this.nowMs,
      time: '2001-09-09T01:46:40.000Z',
      node: 'world',
      event: 'fault:begun',
      class: 0,
      text: step.do,
    });
    await this.#script.step?.(step, this);
  }

  async settle(): Promise<void> {
    await this.#script.settle?.(this);
  }

  close(): void {
    this.closed = true;
  }
}

export interface FakeScript {
  readonly step?: (step: SimulationStep, runner: FakeRunner) => void | Promise<void>;
  readonly settle?: (runner: FakeRunner) => void | Promise<void>;
}

/** Starts fakes, all with the same script. */
export function fakes(script: FakeScript, started: FakeRunner[] = []): StartRunner {
  return () => {
    const runner = new FakeRunner(script);
    started.push(runner);
    return Promise.resolve(runner);
  };
}

/** A write is lost. */
export function loseWrite(): never {
  throw new InvariantError('no-lost-write', 'write 7 is gone', 1);
}
