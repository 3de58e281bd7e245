import { expect } from 'chai';
import PQueue from 'p-queue';

import { congestionMutants } from './congestion-mutants.ts';
import { controlMutants } from './control-mutants.ts';
import { copyMutants } from './copy-mutants.ts';
import { diskMutants } from './disk-mutants.ts';
import { explorationMutants } from './exploration-mutants.ts';
import { failoverMutants } from './failover-mutants.ts';
import { hunt, runHunt } from './hunt.ts';
import type { HuntReport } from './hunt.ts';
import { ioMutants } from './io-mutants.ts';
import { mirrorMutants } from './mirror-mutants.ts';
import type { Mutant } from './mutant.ts';
import { netDiskMutants } from './net-disk-mutants.ts';
import { protocolMutants } from './protocol-mutants.ts';
import { undoMutants } from './undo-mutants.ts';
import { workloadMutants } from './workload-mutants.ts';

const mutants = [
  ...mirrorMutants,
  ...failoverMutants,
  ...controlMutants,
  ...diskMutants,
  ...ioMutants,
  ...protocolMutants,
  ...congestionMutants,
  ...copyMutants,
  ...undoMutants,
  ...workloadMutants,
  ...netDiskMutants,
  ...explorationMutants,
];
const unbrokenSeeds = 50;
const madeSeeds = 3;
const msPerSecond = 1_000;
const lane = new PQueue({ concurrency: 2 });

describe('the simulator catches every bug that is put into the code on purpose, each within its number of seeds', function () {
  this.timeout(600_000);

  const reports = new Map<Mutant, HuntReport>();
  let pending: ReadonlyMap<Mutant, Promise<HuntReport>>;
  let unbroken: readonly Promise<HuntReport>[];

  before(() => {
    const drawn = lane.add(() => runHunt({ modules: [], firstSeed: 1, lastSeed: unbrokenSeeds }));
    const made = [...new Set(mutants.flatMap(({ schedule }) => schedule ?? []))];
    unbroken = [drawn, ...made.map((schedule) => lane.add(() => runHunt({ modules: [], firstSeed: 1, lastSeed: madeSeeds, schedule })))];
    pending = new Map(mutants.map((mutant) => [mutant, lane.add(() => hunt(mutant))]));
    // Each is awaited by its own test, which may come later than its end.
    for (const promise of [...unbroken, ...pending.values()]) promise.catch(() => undefined);
  });

  it(`finds nothing in the code as it is, with ${String(unbrokenSeeds)} seeds of the swarm and ${String(madeSeeds)} of each schedule made for a mutant`, async () => {
    for (const { seed, invariant, text } of await Promise.all(unbroken)) expect(invariant, `seed ${String(seed)}: ${text}`).to.equal(null);
  });

  it('has a name of its own for every mutant', () => {
    expect(new Set(mutants.map(({ name }) => name)).size).to.equal(mutants.length);
  });

  for (const mutant of mutants)
    it(`${mutant.name} (${mutant.breaks}): caught within ${String(mutant.withinSeeds)} seeds`, async () => {
      const report = await pending.get(mutant)!;
      reports.set(mutant, report);
      const { seed, invariant, text } = report;
      expect(seed, `the mutant breaks a pair without faults, so it proves nothing: ${text}`).not.to.equal(0);
      expect(invariant, `it survived ${String(mutant.withinSeeds)} seeds`).not.to.equal(null);
      expect(invariant, `it threw at seed ${String(seed)} and broke no promise before that: ${text}`).not.to.equal('no-crash');
    });

  after(() => {
    for (const line of table(reports)) console.log(line);
  });
});

/** What was caught by which promise at which seed, a line each. */
function table(reports: ReadonlyMap<Mutant, HuntReport>): readonly string[] {
  const rows = [...reports].map(([{ name, breaks, withinSeeds }, { invariant, seed, elapsedMs }]) => [
    name,
    breaks,
    invariant ?? 'survived',
    seed === null ? '' : `${String(seed)} of ${String(withinSeeds)}`,
    (elapsedMs / msPerSecond).toFixed(1),
  ]);
  const all = [['mutant', 'rule', 'caught by', 'seed', 's'], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) => `    ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
}
