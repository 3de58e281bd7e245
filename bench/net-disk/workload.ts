/** What a client does for one cell of the table. */
export interface Workload {
  readonly name: string;
  /** What its speed is told in. */
  readonly unit: 'IOPS' | 'MB/s';
  /** What is told the latency of. */
  readonly latencyOf: 'read' | 'write' | 'sync';
  /** Nothing of the disk may be in memory before it begins. */
  readonly cold: boolean;
  readonly fio: readonly string[];
}

/** How a workload differs from others. */
export interface Shape {
  readonly name: string;
  readonly rw: 'randread' | 'randwrite' | 'write';
  readonly kibibytes: number;
  readonly depth: number;
  /** A flush after so many writes. */
  readonly flushAfter?: number;
  readonly cold?: boolean;
}

/** Sequential ones are told by what they move, random ones by how often. */
export function workload({ name, rw, kibibytes, depth, flushAfter, cold = false }: Shape): Workload {
  const flush = flushAfter === undefined ? [] : [`--fsync=${String(flushAfter)}`];
  return {
    name,
    unit: rw === 'write' ? 'MB/s' : 'IOPS',
    latencyOf: rw === 'randread' ? 'read' : flushAfter === undefined ? 'write' : 'sync',
    cold,
    fio: [`--rw=${rw}`, `--bs=${String(kibibytes)}k`, `--iodepth=${String(depth)}`, ...flush],
  };
}

/** All of them; the cold ones last, for what they read cold the others would read warm. */
export const workloads: readonly Workload[] = [
  workload({ name: '4 KiB random write, depth 1', rw: 'randwrite', kibibytes: 4, depth: 1 }),
  workload({ name: '4 KiB random write, depth 32', rw: 'randwrite', kibibytes: 4, depth: 32 }),
  workload({ name: '64 KiB sequential write, depth 8', rw: 'write', kibibytes: 64, depth: 8 }),
  workload({ name: '1 MiB sequential write, depth 8', rw: 'write', kibibytes: 1_024, depth: 8 }),
  workload({ name: '4 KiB random read, depth 1', rw: 'randread', kibibytes: 4, depth: 1 }),
  workload({ name: '4 KiB random read, depth 32', rw: 'randread', kibibytes: 4, depth: 32 }),
  workload({ name: '4 KiB write, flush after each, depth 1', rw: 'randwrite', kibibytes: 4, depth: 1, flushAfter: 1 }),
  workload({ name: '4 KiB write, flush after each, depth 32', rw: 'randwrite', kibibytes: 4, depth: 32, flushAfter: 1 }),
  workload({ name: '4 KiB write, flush after 32, depth 32', rw: 'randwrite', kibibytes: 4, depth: 32, flushAfter: 32 }),
  workload({ name: '4 KiB random read, cold, depth 1', rw: 'randread', kibibytes: 4, depth: 1, cold: true }),
  workload({ name: '4 KiB random read, cold, depth 32', rw: 'randread', kibibytes: 4, depth: 32, cold: true }),
];
