import type { Workload } from './workload.ts';

/** What one run of fio told. */
export interface FioResult {
  readonly perSecond: number;
  readonly bytes: number;
  readonly latency: Latency;
}

/** In microseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

interface Percentiles {
  readonly percentile: Readonly<Record<string, number>>;
}

interface Direction {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly io_bytes: number;
  readonly lat_ns: Percentiles;
}

interface FioJob {
  readonly read: Direction;
  readonly write: Direction;
  readonly sync: { readonly lat_ns: Percentiles };
}

const bytesPerMegabyte = 1e6;
const nanosecondsPerMicrosecond = 1e3;
const millisecondsPerSecond = 1e3;

/** The command line of one run. */
export function fioArguments(workload: Workload, uri: string, sizeBytes: number, seconds: number): readonly string[] {
  return [
    '--name=cell',
    '--ioengine=nbd',
    `--uri=${uri}`,
    `--size=${String(sizeBytes)}`,
    '--time_based',
    `--runtime=${String(Math.round(seconds * millisecondsPerSecond))}ms`,
    // A thread dies with its process; its own process, as is usual, would not.
    '--thread',
    '--randrepeat=0',
    '--norandommap',
    // From the call to the answer: the usual ones begin when the request is sent, which here may wait for others.
    '--lat_percentiles=1',
    '--output-format=json',
    ...workload.fio,
  ];
}

/** Reads what fio printed, notes before the JSON included. Throws where it measured nothing. */
export function parseFio(printed: string, { unit, latencyOf, name }: Workload): FioResult {
  const { jobs } = JSON.parse(printed.slice(printed.indexOf('{'))) as { readonly jobs: readonly FioJob[] };
  const job = jobs[0]!;
  const direction = latencyOf === 'read' ? job.read : job.write;
  if (!(direction.io_bytes > 0)) throw new Error(`fio did nothing of "${name}"`);
  const { percentile } = latencyOf === 'sync' ? job.sync.lat_ns : direction.lat_ns;
  const at = (percent: string): number => (percentile[percent] ?? NaN) / nanosecondsPerMicrosecond;
  return {
    perSecond: unit === 'MB/s' ? direction.bw_bytes / bytesPerMegabyte : direction.iops,
    bytes: direction.io_bytes,
    latency: { p50: at('50.000000'), p99: at('99.000000'), p999: at('99.900000') },
  };
}
