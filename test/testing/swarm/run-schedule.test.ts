import { expect } from 'chai';

import { HotMirrorError } from '../../../src/errors.ts';
import { simulatePair } from '../../../src/testing/simulation/simulated-pair.ts';
import type { SimulationSchedule } from '../../../src/testing/simulation/schedule.ts';
import { describeEntry } from '../../../src/testing/swarm/describe-schedule.ts';
import { drawSchedule } from '../../../src/testing/swarm/draw-schedule.ts';
import { runSchedule } from '../../../src/testing/swarm/run-schedule.ts';
import type { FakeRunner } from './fake-runner.ts';
import { fakes, loseWrite } from './fake-runner.ts';

const schedule: SimulationSchedule = {
  version: 1,
  options: {},
  steps: [
    { do: 'run', forMs: 100 },
    { do: 'crash', node: 'alpha', how: 'process' },
    { do: 'run', forMs: 50 },
  ],
};

describe('a run of a schedule', function () {
  this.timeout(60_000);

  it('performs every step and settles', async () => {
    const started: FakeRunner[] = [];
    let settled = 0;
    const report = await runSchedule(schedule, { start: fakes({ settle: () => void (settled += 1) }, started) });
    expect(report).to.include({ outcome: 'held', invariant: null, text: '', acknowledged: 3, virtualMs: 150, stepsPerformed: 3 });
    expect(report.log.map(({ text }) => text)).to.deep.equal(['run', 'crash', 'run']);
    expect([settled, started[0]?.closed, started[0]?.steps]).to.deep.equal([1, true, schedule.steps]);
  });

  it('ends at the first broken promise, and says which', async () => {
    const started: FakeRunner[] = [];
    const start = fakes({ step: (step) => (step.do === 'crash' ? loseWrite() : undefined) }, started);
    const report = await runSchedule(schedule, { start });
    expect(report).to.include({ outcome: 'broken', invariant: 'no-lost-write', virtualMs: 100, stepsPerformed: 2 });
    expect(report.text).to.contain('write 7 is gone');
    expect(started[0]?.closed).to.equal(true);
  });

  it('takes what nobody expected for a broken promise of its own', async () => {
    for (const error of [new TypeError('no such property'), new HotMirrorError('HM_INTERNAL', 'no such property')]) {
      const report = await runSchedule(schedule, { start: fakes({ settle: () => Promise.reject(error) }) });
      expect(report).to.include({ outcome: 'broken', invariant: 'no-crash', stepsPerformed: 3 });
      expect(report.text).to.contain('no such property').and.to.contain('run-schedule.test');
    }
    const unstarted = await runSchedule(schedule, { start: () => Promise.reject(new RangeError('no such option')) });
    expect(unstarted).to.include({ outcome: 'broken', invariant: 'no-crash', stepsPerformed: 0 });
  });

  it('hears of what nobody caught, even where the run then waits for good', async () => {
    let caught: ((error: unknown) => void) | null = null;
    const watchUncaught = (listener: (error: unknown) => void): (() => void) => {
      caught = listener;
      return () => (caught = null);
    };
    const start = fakes({
      step() {
        caught?.(new Error('lost in a listener'));
        return new Promise(() => undefined);
      },
    });
    const report = await runSchedule(schedule, { start, watchUncaught });
    expect(report).to.include({ outcome: 'broken', invariant: 'no-crash', stepsPerformed: 1 });
    expect(report.text).to.contain('lost in a listener');
    expect(caught).to.equal(null);
  });

  it('of a real pair is the same twice, entry by entry', async () => {
    for (const seed of [3, 4]) {
      const [one, two] = [
        await runSchedule(drawSchedule(seed), { start: simulatePair }),
        await runSchedule(drawSchedule(seed), { start: simulatePair }),
      ];
      expect(one.log.length).to.be.greaterThan(20);
      expect(JSON.stringify(two)).to.equal(JSON.stringify(one));
      expect(describeEntry(one.log[0]!)).to.match(/^ +0\.000 alpha node:state/u);
    }
  });
});
