import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { Mutant } from './mutant.ts';
import { aloneMs, busy, repeated, run, schedule } from './schedules.ts';

const mebibyte = 1_048_576;
const extentBytes = 65_536;
const targetedSeeds = 20;

/** Whole extents are written, or made zero, on slow disks. */
const wholeExtents = {
  mirrors: [{ name: 'm0', sizeBytes: 2 * mebibyte }],
  workload: { ...busy, blocks: 32, blockBytes: extentBytes, writesPercent: 80, readsPercent: 10, zeroesPercent: 40 },
  latencies: { elementMs: 15, metadataMs: 0 },
};

/** Both elements are compared again and again while overlapping ranges are written. */
const verifiedUnderWrites: SimulationSchedule = schedule(
  {
    mirrors: [{ name: 'm0', sizeBytes: mebibyte }],
    workload: { ...busy, blocks: 64, blockBytes: 4_096, overlapsPercent: 80, writesPercent: 80, readsPercent: 10 },
    latencies: { elementMs: 15, metadataMs: 0 },
  },
  repeated(8, [run(300), { do: 'operator', node: 'alpha', order: 'verify' }]),
);

/** The source goes on alone for a while, and most of what it writes differs. */
const aloneAndBack: SimulationSchedule = schedule(
  wholeExtents,
  repeated(3, [run(500), { do: 'cut', link: 'data' }, run(aloneMs), { do: 'heal', link: 'data' }, run(3_000)]),
);

export const copyMutants: readonly Mutant[] = [
  {
    name: 'compares at the target once everything is applied, later writes included',
    breaks: 'verify',
    edits: [
      {
        file: 'mirror/target.ts',
        find: `    this.#order.add(() => {
      this.#deviceRequests += 1;`,
        replace: `    this.#whenApplied(() => {
      this.#deviceRequests += 1;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: verifiedUnderWrites,
  },
  {
    name: 'leaves an extent of zeroes as it is without a look',
    breaks: 'resync.progress',
    edits: [
      {
        file: 'mirror/target.ts',
        find: `if (bytes && isZero(bytes)) this.#finish(sequence);`,
        replace: `if (bytes) this.#finish(sequence + 0 * Number(isZero(bytes)));`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: aloneAndBack,
  },
  {
    name: 'takes extents for the same whose digests differ',
    breaks: 'resync.progress',
    edits: [
      {
        file: 'mirror/digests.ts',
        find: `theirs.subarray(from, to)) === 0 ? 0 : 1;`,
        replace: `theirs.subarray(from, to)) === 0 ? 0 : 0;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: aloneAndBack,
  },
];
