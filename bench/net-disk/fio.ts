import type { Workload } from './workload.ts';

/** What one run of fio told. */
export interface FioResult {
  readonly perSecond: number;
  readonly bytes: number;
  readonly requests: number;
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
  readonly total_ios: number;
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

/** On what, and for how long. */
export interface FioRun {
  /** Each is worked on by a job of its own, all at the same time. */
  readonly uris: readonly string[];
  readonly sizeBytes: number;
  readonly seconds: number;
  /** To each of them; default 1. */
  readonly connections?: number;
}

/** The command line of one run. */
export function fioArguments(workload: Pick<Workload, 'fio'>, { uris, sizeBytes, seconds, connections = 1 }: FioRun): readonly string[] {
  return [
    '--name=global',
    '--ioengine=nbd',
    `--size=${String(sizeBytes)}`,
    '--time_based',
    `--runtime=${String(Math.round(seconds * millisecondsPerSecond))}ms`,
    // A thread dies with its process; its own process, as is usual, would not.
    '--thread',
    `--numjobs=${String(connections)}`,
    '--group_reporting',
    '--randrepeat=0',
    '--norandommap',
    // From the call to the answer: the usual ones begin when the request is sent, which here may wait for others.
    '--lat_percentiles=1',
    '--output-format=json',
    ...workload.fio,
    ...uris.flatMap((uri, at) => [`--name=m${String(at)}`, `--uri=${uri}`]),
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
    requests: direction.total_ios,
    latency: { p50: at('50.000000'), p99: at('99.000000'), p999: at('99.900000') },
  };
}
