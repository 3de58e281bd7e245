import { expect } from 'chai';

import type { SimulationSchedule } from '../../../src/testing/simulation/schedule.ts';
import { describeSchedule } from '../../../src/testing/swarm/describe-schedule.ts';
import { describeFailure } from '../../../src/testing/swarm/failure-report.ts';
import { carryOut } from '../../../src/testing/swarm/job.ts';
import { fakes, loseWrite } from './fake-runner.ts';

const schedule: SimulationSchedule = {
  version: 1,
  options: { seed: 9, mirrors: [{ name: 'm0', sizeBytes: 65_536 }], monitorLinks: ['mon1', 'mon2'], links: { delayMs: 1 }, workload: {} },
  steps: [
    { do: 'run', forMs: 20 },
    { do: 'disk', node: 'beta', disk: 'element', mirror: 'm0', fault: { kind: 'full' } },
    { do: 'crash', node: 'alpha', how: 'process', afterEffects: 3 },
  ],
};

describe('the report of a broken promise', () => {
  it('lists a schedule for people', () => {
    expect(describeSchedule(schedule)).to.equal(
      [
        'seed: 9',
        'mirrors: name=m0 sizeBytes=65536',
        'monitorLinks: mon1, mon2',
        'links: delayMs=1',
        'workload: the defaults',
        '3 steps, then faults stop:',
        '  1. run forMs=20',
        '  2. disk node=beta disk=element mirror=m0 fault={"kind":"full"}',
        '  3. crash node=alpha how=process afterEffects=3',
      ].join('\n'),
    );
  });

  it('names the seed, the promise, the last events, the shrunk schedule, and how to see it again', async () => {
    const start = fakes({ step: (step) => (step.do === 'crash' ? loseWrite() : undefined) });
    const { failure, log } = await carryOut({ seed: 12, schedule, shrinkRuns: 50, keepLog: true }, { start });
    expect(log).to.have.lengthOf(3);
    const text = describeFailure(failure!);
    expect(text.split('\n')[0]).to.equal(
      'seed 12 broke no-lost-write: No acknowledged write is lost: no read, and at the end no element, holds anything older, or anything that nobody wrote.',
    );
    expect(text).to.contain('write 7 is gone');
    expect(text).to.contain('     0.020 world fault:begun        disk\n');
    expect(text).to.contain('shrunk from 3 steps to 1 (');
    expect(text).to.contain('  1. crash node=alpha how=process afterEffects=3');
    expect(text).to.contain('hotmirror simulate --seed 12\n');
    const last = JSON.parse(text.split('\n').at(-1) ?? '') as SimulationSchedule;
    expect(last).to.deep.equal(failure?.shrunk?.schedule);
    expect(last.steps).to.deep.equal([schedule.steps[2]]);
  });

  it('is not there where every promise held', async () => {
    const result = await carryOut({ seed: null, schedule, shrinkRuns: 50, keepLog: false }, { start: fakes({}) });
    expect(result).to.deep.equal({ seed: null, acknowledged: 3, virtualMs: 20, failure: null, log: null });
  });
});
