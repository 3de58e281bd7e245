import { expect } from 'chai';

import type { SimulationSchedule } from '../../../src/testing/simulation/schedule.ts';
import type { SimulationStep } from '../../../src/testing/simulation/steps.ts';
import { drawSchedule } from '../../../src/testing/swarm/draw-schedule.ts';
import { shrink } from '../../../src/testing/swarm/shrink.ts';

const generous = 2_000;
const cutAll: SimulationStep = { do: 'cut', link: 'all' };
const crashBeta: SimulationStep = { do: 'crash', node: 'beta', how: 'process' };

/** Drawn steps with two more among them. */
function withBoth(seed: number): SimulationSchedule {
  const schedule = drawSchedule(seed);
  const steps = [...schedule.steps];
  steps.splice(5, 0, cutAll);
  steps.splice(9, 0, crashBeta);
  return { ...schedule, steps };
}

function holds(schedule: SimulationSchedule, step: SimulationStep): number {
  return schedule.steps.findIndex((each) => JSON.stringify(each) === JSON.stringify(step));
}

/** Fails where the cut comes before the crash, with 700 ms of time between them. */
function fails(candidate: SimulationSchedule): Promise<boolean> {
  const [cut, crash] = [holds(candidate, cutAll), holds(candidate, crashBeta)];
  const between = candidate.steps.slice(cut, Math.max(cut, crash)).reduce((sum, step) => sum + (step.do === 'run' ? step.forMs : 0), 0);
  return Promise.resolve(cut !== -1 && cut < crash && between >= 700);
}

describe('a failing schedule is shrunk', function () {
  this.timeout(20_000);

  const seeds = Array.from({ length: 200 }, (_, seed) => seed);

  it('to the steps that it takes, and plain options', async () => {
    let shrunk = 0;
    for (const schedule of seeds.map(withBoth)) {
      if (!(await fails(schedule))) continue;
      shrunk += 1;
      const { schedule: short, smallest } = await shrink(schedule, fails, generous);
      expect(await fails(short)).to.equal(true);
      expect(smallest).to.equal(true);
      expect(short.steps.filter(({ do: what }) => what !== 'run')).to.deep.equal([cutAll, crashBeta]);
      expect(short.steps).to.have.lengthOf(3);
      expect(short.options.mirrors).to.have.lengthOf(1);
      expect(short.options.mirrors?.[0]?.sizeBytes).to.equal(65_536);
      expect(short.options).to.include({ seed: schedule.options.seed, workload: null, threadLagMs: 0 });
      expect(short.options).to.not.have.any.keys('links', 'latencies', 'times', 'driftPpm', 'activeRegions');
    }
    expect(shrunk).to.be.greaterThan(50);
  });

  it('in the same way every time', async () => {
    const schedule = (await firstFailing(seeds))!;
    expect(await shrink(schedule, fails, generous)).to.deep.equal(await shrink(schedule, fails, generous));
  });

  it('within its bound of runs', async () => {
    const schedule = (await firstFailing(seeds))!;
    for (const maxRuns of [0, 1, 10]) {
      let asked = 0;
      const { schedule: short, runs, smallest } = await shrink(schedule, (candidate) => ((asked += 1), fails(candidate)), maxRuns);
      expect([asked, runs, smallest]).to.deep.equal([maxRuns, maxRuns, false]);
      expect(await fails(short)).to.equal(true);
    }
  });

  it('never to steps about mirrors or links that its options no longer have', async () => {
    for (const seed of seeds) {
      const seen: SimulationSchedule[] = [];
      await shrink(drawSchedule(seed), (candidate) => Promise.resolve(seen.push(candidate) % 2 === 0), 60);
      for (const { options, steps } of seen) {
        const mirrors = options.mirrors?.map(({ name }) => name) ?? [];
        const links = [...mirrors.map((name) => `data:${name}`), ...(options.monitorLinks ?? []), 'data', 'all'];
        for (const step of steps) {
          if ('link' in step) expect(links).to.include(step.link);
          if ('mirror' in step) expect(mirrors).to.include(step.mirror);
        }
      }
    }
  });

  it('as long as it breaks the same promise: what does not fail is never taken', async () => {
    const schedule = drawSchedule(1);
    const { schedule: short, smallest } = await shrink(schedule, () => Promise.resolve(false), generous);
    expect(short).to.equal(schedule);
    expect(smallest).to.equal(true);
  });
});

async function firstFailing(seeds: readonly number[]): Promise<SimulationSchedule | null> {
  for (const schedule of seeds.map(withBoth)) if (await fails(schedule)) return schedule;
  return null;
}
