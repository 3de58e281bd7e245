import { expect } from 'chai';

import { explore } from '../../../src/testing/exploration/explore.ts';
import type { ExplorationBounds, ExplorationReport } from '../../../src/testing/exploration/options.ts';
import { renameIds } from '../../../src/testing/exploration/rename-ids.ts';

const bounds = (change: Partial<ExplorationBounds>): ExplorationBounds => {
  return { postponements: 0, crashes: 0, partitions: 0, writes: 1, ...change };
};

/** The bounds are printed with what they came to, so that nobody takes them for more than they are. */
function told(what: string, report: ExplorationReport): void {
  const { schedules, states, events, cutOffs, settled, longest, left, compared } = report;
  const counts = `${String(schedules)} schedules, ${String(events)} events, ${String(states)} states`;
  const ends = `${String(cutOffs)} cut off, ${String(settled)} settled, longest ${String(longest)}, ${String(compared)} compared, ${String(left)} left`;
  console.log(`      ${what}: ${counts}; ${ends}`);
}

function expectNothingFound(report: ExplorationReport): void {
  expect(
    report.findings.map(({ text, trace }) => `${text}\n${trace.join('\n')}`),
    'findings',
  ).to.deep.equal([]);
  expect(report.compared, 'comparisons of where states led').to.be.above(500);
  expect(report.mistaken, 'states taken for the same that went on differently').to.deep.equal([]);
  expect(report.unfinished, 'schedules without end').to.equal(0);
}

describe('explore: the shipped classes, one mirror of two extents', function () {
  this.timeout(240_000);

  for (const whenAlone of ['arbiter', 'freeze'] as const) {
    it(`${whenAlone}: no two owners acknowledge, wherever every link is cut and whether it heals`, async () => {
      const report = await explore({ whenAlone, bounds: bounds({ partitions: 1 }) });
      told('a partition and two writes', report);
      expectNothingFound(report);
      expect(report.left).to.equal(0);
      expect([report.schedules >= 40, report.states >= 700], JSON.stringify(report)).to.deep.equal([true, true]);
      expect(report.acknowledgedBy.alpha).to.be.above(0);
      expect(report.acknowledgedBy.beta, 'the takeover was explored').to.be.above(10);
    });

    it(`${whenAlone}: no two owners acknowledge, wherever a node crashes`, async () => {
      const report = await explore({ whenAlone, bounds: bounds({ crashes: 1 }) });
      told('a crash and two writes', report);
      expectNothingFound(report);
      expect(report.left).to.equal(0);
      expect([report.schedules >= 50, report.states >= 900], JSON.stringify(report)).to.deep.equal([true, true]);
      expect([report.acknowledgedBy.alpha > 10, report.acknowledgedBy.beta > 10]).to.deep.equal([true, true]);
    });
  }

  it('arbiter: no two owners acknowledge where a crash, a partition and a delivery that is late come together', async () => {
    const report = await explore({
      whenAlone: 'arbiter',
      bounds: bounds({ postponements: 1, crashes: 1, partitions: 1 }),
      maxSchedules: 120,
    });
    told('a crash, a partition, a late delivery and two writes', report);
    expectNothingFound(report);
    expect(report.schedules).to.equal(120);
  });

  it('takeover.unfenced: with continue and every link cut it finds the split brain that the documentation predicts', async () => {
    const report = await explore({ whenAlone: 'continue', bounds: bounds({ partitions: 1 }) });
    told('until two owners were found', report);
    const [finding] = report.findings;
    expect(finding?.what).to.equal('two-owners');
    console.log(
      finding?.trace
        .filter((line) => /CHOICE|WRITE|ACKNOWLEDGED|BROKEN|alone:decided|takeover:decided/u.test(line))
        .map((line) => `        ${line}`)
        .join('\n'),
    );
    const trace = finding?.trace.join('\n') ?? '';
    expect(trace).to.match(/CHOICE: every link is cut/u);
    expect(trace).to.match(/ACKNOWLEDGED: write \d by beta in epoch 2 of beta/u);
    expect(trace).to.match(/ACKNOWLEDGED: write \d by alpha in epoch 2 of alpha/u);
    expect(finding?.trace.at(-1)).to.match(/^BROKEN: two-owners/u);
  });

  it('gives the same report again', async () => {
    const options = { whenAlone: 'arbiter', bounds: bounds({ crashes: 1, writes: 0 }), maxSchedules: 10 } as const;
    expect(await explore(options)).to.deep.equal(await explore(options));
  });
});

describe('renameIds', () => {
  it('names random ids by their first appearance and leaves everything else', () => {
    const [one, other] = ['0123456789abcdef', 'fedcba9876543210'];
    expect(renameIds(`a ${one} b ${other} c ${one} 42 beef`)).to.equal('a #0 b #1 c #0 42 beef');
    expect(renameIds(`a ${other} b ${one} c ${other} 42 beef`)).to.equal('a #0 b #1 c #0 42 beef');
  });
});
