import { figure, markdownTable, spread, times } from '../support/markdown.ts';
import { estimate, ratioOf } from '../support/statistics.ts';
import type { Copied } from './copying.ts';
import type { Cell, Measured, Sample } from './measure.ts';

/** The cells of one workload, in the order of the subjects. */
interface Row {
  readonly name: string;
  readonly unit: string;
  readonly cells: readonly Cell[];
}

/** How much faster than the reference a subject does a workload, round by round. */
export interface Ratio {
  readonly workload: string;
  readonly subject: string;
  readonly values: ReturnType<typeof ratioOf>;
}

function rowsOf({ cells }: Pick<Measured, 'cells'>): readonly Row[] {
  return [...new Set(cells.map(({ workload }) => workload))].map((workload) => ({
    name: workload.name,
    unit: workload.unit,
    cells: cells.filter((cell) => cell.workload === workload),
  }));
}

const speeds = ({ samples }: Cell): readonly number[] => samples.map(({ perSecond }) => perSecond);

/** All subjects but the reference against it. */
export function ratiosOf(measured: Pick<Measured, 'cells'>, reference: string): readonly Ratio[] {
  return rowsOf(measured).flatMap(({ name, cells }) => {
    const base = cells.find(({ subject }) => subject === reference)!;
    return cells
      .filter((cell) => cell !== base)
      .map((cell) => ({ workload: name, subject: cell.subject, values: ratioOf(speeds(cell), speeds(base)) }));
  });
}

/** Median speed of each subject, and what it is against the reference. */
export function speedTable(measured: Pick<Measured, 'cells' | 'subjects'>, reference: string): string {
  const ratios = ratiosOf(measured, reference);
  const others = measured.subjects.filter((subject) => subject !== reference);
  const rows = rowsOf(measured).map(({ name, unit, cells }) => [
    `${name}, ${unit}`,
    ...cells.map((cell) => spread(estimate(speeds(cell)), figure)),
    ...ratios.filter(({ workload }) => workload === name).map(({ values }) => spread(values, times)),
  ]);
  return markdownTable(['workload', ...measured.subjects, ...others.map((subject) => `${subject}: × ${reference}`)], rows);
}

/** Medians over the rounds of the percentiles of each. */
export function latencyTable(measured: Pick<Measured, 'cells' | 'subjects'>): string {
  const percentiles = ['p50', 'p99', 'p999'] as const;
  const rows = rowsOf(measured).map(({ name, cells }) => [
    `${name}${cells[0]?.workload.latencyOf === 'sync' ? ' (of the flush)' : ''}`,
    ...cells.map(({ samples }) =>
      percentiles.map((each) => figure(estimate(samples.map(({ latency }) => latency[each])).median)).join(' / '),
    ),
  ]);
  return markdownTable(['p50 / p99 / p99.9, µs', ...measured.subjects], rows);
}

/** CPU time of everything that serves, and its memory. */
export function costTable(measured: Pick<Measured, 'cells' | 'subjects' | 'peakMebibytes'>): string {
  const cpu = ({ cpuSecondsPerGibibyte }: Sample): number => cpuSecondsPerGibibyte;
  const rows = rowsOf(measured).map(({ name, cells }) => [name, ...cells.map(({ samples }) => figure(estimate(samples.map(cpu)).median))]);
  const memory = ['most memory, MiB', ...measured.subjects.map((subject) => figure(measured.peakMebibytes.get(subject) ?? NaN))];
  return markdownTable(['CPU seconds a GiB, servers only', ...measured.subjects], [...rows, memory]);
}

/** One sentence on whether the copies were the same in the end. */
export function identityText({ identical }: Pick<Measured, 'identical'>): string {
  const texts = [...identical].map(([subject, same]) => `${subject}: ${same ? 'the same' : '**DIFFERENT**'}`);
  return `Both copies in the end: ${texts.join('; ')}.`;
}

/** What copying everything came to, against a reference. */
export function copyTable(copied: readonly Copied[], reference: string): string {
  const base = copied.find(({ name }) => name === reference)!;
  const rows = copied.map(({ name, samples }) => [
    name,
    spread(estimate(samples), figure),
    name === reference ? '' : spread(ratioOf(samples, base.samples), times),
  ]);
  return markdownTable(['the whole disk', 'MB/s', `× ${reference}`], rows);
}
