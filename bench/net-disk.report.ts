import { writeFile } from 'node:fs/promises';

import type { Report, ReportWishes } from './benchmark.ts';
import { ratioChart } from './net-disk/chart.ts';
import type { ChartPart } from './net-disk/chart.ts';
import { copierOfReference, measureCopying } from './net-disk/copying.ts';
import { hotmirror } from './net-disk/hotmirror.ts';
import { measureWorkloads } from './net-disk/measure.ts';
import { nbdkitFile, quorum } from './net-disk/peers.ts';
import { settingsFor, unfitness } from './net-disk/settings.ts';
import type { Medium, Settings } from './net-disk/settings.ts';
import type { Subject } from './net-disk/subject.ts';
import { copyTable, costTable, identityText, latencyTable, ratiosOf, speedTable } from './net-disk/tables.ts';
import { describeMachine, describeRun, missingOf } from './support/machine.ts';

const peers = ['qemu-storage-daemon', 'nbdkit', 'nbdcopy', 'fio'] as const;
const helpers = ['setpriv', 'socat'] as const;
const reference = quorum.name;

/** What is measured: another way to run hotmirror is another entry. */
const busyPollUs = 200;
const subjectsOf = ({ hasty }: Settings): readonly Subject[] => [hotmirror(hasty), hotmirror(hasty, busyPollUs), quorum, nbdkitFile];

const titles = { memory: 'Disks in memory (tmpfs)', disk: 'Disks on a disk' } as const;

export const report: Report = { name: 'net-disk', print };

async function print(wishes: ReportWishes): Promise<void> {
  const missing = missingOf([...peers, ...helpers]);
  if (missing.length > 0) {
    console.log(`net-disk: not run, for there is no ${missing.join(', ')}`);
    return;
  }
  const settings = settingsFor(wishes);
  const { rounds, seconds, sizeBytes } = settings;
  console.log(`${describeMachine(peers)}; ${describeRun(wishes.command)}`);
  console.log(
    `\nMedians (least–most) of ${String(rounds)} interleaved rounds, ${String(seconds)} s a cell, ${String(sizeBytes / 2 ** 20)} MiB a disk`,
  );
  const parts: ChartPart[] = [];
  for (const medium of settings.media) {
    const reason = unfitness(medium);
    if (reason === null) parts.push(await printMedium(medium, settings));
    else console.log(`\n### ${titles[medium.name]}\n\nnot measured: ${reason}`);
  }
  if (wishes.svg !== null) await writeFile(wishes.svg, ratioChart(parts, reference));
}

async function printMedium(medium: Medium, settings: Settings): Promise<ChartPart> {
  const measured = await measureWorkloads(medium, subjectsOf(settings), settings);
  const title = titles[medium.name];
  const tables = [speedTable(measured, reference), latencyTable(measured), costTable(measured), identityText(measured)];
  console.log(`\n### ${title}\n\n${tables.join('\n\n')}`);
  console.log(`\n${copyTable(await measureCopying(medium, settings), copierOfReference)}`);
  return { title, ratios: ratiosOf(measured, reference) };
}
