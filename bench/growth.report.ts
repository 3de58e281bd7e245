import type { Report, ReportWishes } from './benchmark.ts';
import { NullPair } from './growth/dirty-extents.ts';
import type { DirtyCost } from './growth/dirty-extents.ts';
import { measureConnections, measureMirrors } from './growth/pairs.ts';
import { dirtyTable, pairTable, sizeTable } from './growth/tables.ts';
import { measureLargeElement } from './measure-large-element.ts';
import type { LargeElement } from './measure-large-element.ts';
import { describeMachine, describeRun, missingOf } from './support/machine.ts';

const full = {
  seconds: 2,
  mirrors: [1, 2, 4, 8, 16],
  connections: [1, 2, 4, 8],
  gibibytes: [1, 16, 128, 1_024],
  extents: 2 ** 20,
  dirty: [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
} as const;

const short = {
  seconds: 0.3,
  mirrors: [1, 4],
  connections: [1, 4],
  gibibytes: [1],
  extents: 2 ** 13,
  dirty: [1, 100, 1_000],
} as const;

export const report: Report = { name: 'growth', print };

async function print(wishes: ReportWishes): Promise<void> {
  const settings = wishes.short ? short : full;
  const seconds = wishes.seconds ?? settings.seconds;
  console.log(`${describeMachine([])}; ${describeRun(wishes.command)}`);
  await printPairs(settings, seconds);
  const sizes: (LargeElement & { readonly gibibytes: number })[] = [];
  for (const gibibytes of settings.gibibytes) sizes.push({ gibibytes, ...(await measureLargeElement(gibibytes)) });
  console.log(`\n### Size: two nodes in one process, sparse files, everything dirty\n\n${sizeTable(sizes)}`);
  const pair = await NullPair.whole(settings.extents);
  const costs: DirtyCost[] = [];
  for (const extents of settings.dirty) costs.push(await pair.measure(extents, seconds));
  const gibibytes = settings.extents / 2 ** 14;
  console.log(
    `\n### Dirty extents: two nodes in one process, ${String(gibibytes)} GiB of a disk that holds nothing and takes no time\n\n${dirtyTable(costs)}`,
  );
}

async function printPairs({ mirrors, connections }: typeof full | typeof short, seconds: number): Promise<void> {
  const missing = missingOf(['fio', 'setpriv']);
  if (missing.length > 0) {
    console.log(`\nmirrors and connections: not measured, for there is no ${missing.join(', ')}`);
    return;
  }
  const how = '4 KiB random writes, depth 8 a connection, two processes, disks in memory';
  console.log(`\n### Mirrors: ${how}, a connection each\n\n${pairTable('mirrors', await measureMirrors(mirrors, seconds))}`);
  console.log(`\n### Connections: ${how}, one mirror\n\n${pairTable('connections', await measureConnections(connections, seconds))}`);
}
