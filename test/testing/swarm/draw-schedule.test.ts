import { isDeepStrictEqual } from 'node:util';

import { expect } from 'chai';

import { parseSchedule } from '../../../src/node/simulate/schedule-file.ts';
import type { SimulationSchedule } from '../../../src/testing/simulation/schedule.ts';
import type { SimulationStep } from '../../../src/testing/simulation/steps.ts';
import { drawSchedule } from '../../../src/testing/swarm/draw-schedule.ts';
import { faultKinds } from '../../../src/testing/swarm/fault-kinds.ts';

const seeds = Array.from({ length: 1_000 }, (_, seed) => seed);
const schedules = seeds.map(drawSchedule);

describe('a drawn schedule', function () {
  this.timeout(20_000);

  it('is the same for the same seed, and another for another', () => {
    for (const seed of [0, 1, 2 ** 32 - 1]) expect(drawSchedule(seed)).to.deep.equal(drawSchedule(seed));
    expect(new Set(schedules.map((schedule) => JSON.stringify(schedule))).size).to.equal(seeds.length);
  });

  it('is plain data that a schedule file can hold', () => {
    for (const schedule of schedules) {
      const parsed = parseSchedule(JSON.parse(JSON.stringify(schedule)));
      expect(isDeepStrictEqual(parsed, schedule)).to.equal(true, JSON.stringify(schedule));
    }
  });

  it('holds 7 to 21 faults or repairs, and now and then an element that is taken out and brought back, copied, compared or rolled back, and disks that fail under such orders, with time between them', () => {
    const isElement = (step: SimulationStep): boolean => step.do === 'operator' && step.order.startsWith('element-');
    const isCopy = (step: SimulationStep): boolean => step.do === 'operator' && /regenerate|verify|-resync/u.test(step.order);
    for (const { options, steps } of schedules) {
      // Of a rollback the crash, boot, crash, order and boot, two of them at most; of a disk that fails the fault and three orders of any kind, three at most;
      // of a protocol that is switched the order and one back, three at most;
      // of a growth the order, a crash and a boot, four at most.
      const more = (options.undoJournalExtents === undefined ? 0 : 10) + 12 + 6 + 12;
      expect(steps.filter((step) => step.do !== 'run' && !isElement(step) && !isCopy(step)).length).to.be.within(7, 21 + more);
      expect(steps.filter(isElement).length).to.be.within(0, 6 + 9);
      expect(steps.filter(isCopy).length).to.be.within(0, 10 + 9);
      steps.forEach((step, at) => expect(step.do === 'run').to.equal(at % 2 === 0));
    }
  });

  it('switches kinds of fault off, so that others come often', () => {
    const crashless = schedules.filter(({ steps }) => !steps.some(({ do: what }) => what === 'crash'));
    expect(crashless.length).to.be.greaterThan(seeds.length / 20);
    const kindsOf = ({ steps }: SimulationSchedule): number => new Set(steps.map(({ do: what }) => what)).size;
    expect(Math.min(...schedules.map(kindsOf))).to.be.lessThan(4);
    expect(Math.max(...schedules.map(kindsOf))).to.be.greaterThan(8);
  });

  it('has, over many seeds, every kind of step, disk fault, policy and bound', () => {
    const steps = schedules.flatMap((schedule) => schedule.steps);
    const kinds: readonly SimulationStep['do'][] = [
      ...['run', 'crash', 'boot', 'stop', 'pause', 'resume', 'cut', 'heal', 'break', 'conditions'],
      ...['disk', 'mend', 'replace', 'clock', 'arbiter', 'operator', 'platform'],
    ] as SimulationStep['do'][];
    for (const kind of kinds) expect(steps.some(({ do: what }) => what === kind)).to.equal(true, kind);
    expect(steps.some((step) => step.do === 'pause' && step.suspend)).to.equal(true);
    expect(steps.some((step) => step.do === 'arbiter' && step.lossPercent !== undefined)).to.equal(true);
    const disks = new Set(steps.flatMap((step) => (step.do === 'disk' ? [`${step.disk} ${step.fault.kind}`] : [])));
    expect(disks.size).to.equal(3 * 6);
    expect(new Set(schedules.map(({ options }) => options.policy?.whenAlone))).to.deep.equal(new Set(['freeze', 'arbiter', 'continue']));
    const sizes = schedules.flatMap(({ options }) => (options.mirrors ?? []).map(({ sizeBytes = 0 }) => sizeBytes));
    expect([Math.min(...sizes), Math.max(...sizes)]).to.deep.equal([65_536, 9_437_184]);
    expect(schedules.some(({ options }) => options.mirrors?.length === 2)).to.equal(true);
  });

  it('keeps to the timing rules (timing.deadline, timing.grace, timing.lease)', () => {
    for (const { options } of schedules) {
      const { intervalMs = 1_000, deadlineMs = 5_000, leaseMs = 3_750, initialGraceMs = 10_000 } = options.times ?? {};
      const roundTripMs = 2 * ((options.links?.delayMs ?? 0) + (options.links?.jitterMs ?? 0));
      expect(deadlineMs).to.be.at.least(2 * intervalMs + roundTripMs);
      expect(initialGraceMs).to.be.at.least(2 * deadlineMs);
      expect(leaseMs)
        .to.be.above(intervalMs + roundTripMs)
        .and.below(deadlineMs);
    }
  });

  describe('keeps to what a pair must survive', () => {
    it('disks fail on one node only', () => {
      for (const { steps } of schedules) {
        expect(new Set(steps.flatMap((step) => (step.do === 'disk' ? [step.node] : []))).size).to.be.at.most(1);
      }
    });

    it('machines lose power only where the application knows', () => {
      for (const { options, steps } of schedules) {
        const lost = steps.some((step) => step.do === 'crash' && step.how === 'power');
        if (options.powerCuts !== true) expect(lost).to.equal(false);
      }
      expect(schedules.some(({ steps }) => steps.some((step) => step.do === 'crash' && step.how === 'power'))).to.equal(true);
    });

    it('with `continue` one link carries at all times, unless a fence or an arbiter promises one owner', () => {
      const carried = schedules.filter(({ options }) => options.policy?.whenAlone === 'continue' && options.partitions === false);
      for (const { options } of schedules.filter((schedule) => !carried.includes(schedule)))
        if (options.policy?.whenAlone === 'continue') expect(options.fence === true || options.arbiter === true).to.equal(true);
      for (const schedule of carried) {
        expect(schedule.options.links?.lostPerMillion ?? 0).to.equal(0);
        const touched = new Set(
          schedule.steps
            .flatMap((step) => (step.do === 'cut' || step.do === 'conditions' ? [step] : []))
            .flatMap((step) => linksOf(schedule, step)),
        );
        expect(touched.size).to.be.lessThan(linkCount(schedule), JSON.stringify(schedule));
      }
    });

    it('no fence lies', () => {
      const fences = schedules.flatMap(({ steps }) => steps.filter((step) => step.do === 'platform' && step.step === 'fence'));
      expect(fences.length).to.be.greaterThan(20);
      for (const step of fences) expect(step).to.not.include({ outcome: 'succeed-without-effect' });
    });

    it('no order overrides the rules', () => {
      for (const { steps } of schedules) {
        expect(steps.some((step) => step.do === 'operator' && ['force-fallback', 'resume'].includes(step.order))).to.equal(false);
      }
    });

    it('every kind of fault has a name of its own', () => {
      expect(new Set(faultKinds.map(({ name }) => name)).size).to.equal(faultKinds.length);
    });
  });
});

type LinkStep = Extract<SimulationStep, { do: 'cut' | 'conditions' }>;

function linkCount({ options }: SimulationSchedule): number {
  return (options.mirrors?.length ?? 0) + (options.monitorLinks?.length ?? 0);
}

/** The links that a step makes worse than they were. */
function linksOf({ options }: SimulationSchedule, step: LinkStep): readonly string[] {
  if (step.do === 'conditions' && JSON.stringify(step.conditions) === JSON.stringify(options.links)) return [];
  const data = (options.mirrors ?? []).map(({ name }) => `data:${name}`);
  if (step.link === 'all') return [...data, ...(options.monitorLinks ?? [])];
  return step.link === 'data' ? data : [step.link];
}
