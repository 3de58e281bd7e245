import { writeFile } from 'node:fs/promises';

import { watchTimes } from '../src/heartbeat/options.ts';
import type { Report, ReportWishes } from './benchmark.ts';
import { qualityChart } from './detectors/chart.ts';
import { measureQuality } from './detectors/quality.ts';
import type { Extent } from './detectors/quality.ts';
import { readRecordings } from './detectors/recording.ts';
import { ownSubjects, peerSubjects } from './detectors/subjects.ts';
import { falseVerdictTable, qualityTable, summaryTable } from './detectors/tables.ts';
import type { Part } from './detectors/tables.ts';
import { recordedTrace, syntheticTraces } from './detectors/traces.ts';
import type { Conditions } from './detectors/weather.ts';

const full: Extent = { crashes: 200, days: 2 };
const short: Extent = { crashes: 10, days: 0.02 };

const subjects = [...ownSubjects, ...peerSubjects];
const lossy = { lost: 0.3, jitterMs: 1_000 } as const;

export const report: Report = { name: 'detectors', print };

async function print(wishes: ReportWishes): Promise<void> {
  const extent = wishes.short ? short : full;
  const { crashes, days } = extent;
  console.log(`\`${wishes.command}\`: ${String(crashes)} crashes and ${String(days)} days without one, of each trace, from seeds`);
  const parts: Part[] = [];
  for (const conditions of [...syntheticTraces, ...readRecordings().map(recordedTrace)]) {
    const part = measure(conditions, extent);
    parts.push(part);
    console.log(`\n### ${part.title}\n\n${part.about}.\n\n${qualityTable(part.rows)}`);
  }
  console.log(`\n### In short: seconds until death is noticed, mistakes a day\n\n${summaryTable(parts)}`);
  const { intervalMs, deadlineMs, lateProbeMs } = watchTimes({});
  const table = falseVerdictTable({ intervalMs, deadlineMs, ...lossy }, lateProbeMs);
  console.log(`\n### False verdicts a day by formula, 30 % lost, jitter of an interval\n\n${table}`);
  if (wishes.svg !== null) await writeFile(wishes.svg, qualityChart(parts));
}

function measure(conditions: Conditions, extent: Extent): Part {
  const rows = subjects.map((subject, at) => ({
    number: at + 1,
    name: subject.name,
    quality: measureQuality(subject, conditions, extent),
  }));
  return { title: conditions.name, about: conditions.about, rows };
}
