import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { Mutant } from './mutant.ts';
import { aloneMs, busy, repeated, run, schedule } from './schedules.ts';

/** Of a schedule made for it a mutant needs a few seeds. */
const targetedSeeds = 12;

/** Both nodes lose what they had cached while a mirror is written through its net disk. */
const netDiskLosesPower: SimulationSchedule = schedule(
  {
    netDisk: true,
    powerCuts: true,
    workload: { ...busy, writesPercent: 70, readsPercent: 15, fuaPercent: 50, blocks: 32 },
  },
  repeated(4, [
    run(500),
    { do: 'crash', node: 'alpha', how: 'power' },
    { do: 'crash', node: 'beta', how: 'power' },
    run(50),
    { do: 'boot', node: 'alpha' },
    { do: 'boot', node: 'beta' },
    run(aloneMs),
  ]),
);

/** The target is slow, and a mirror is written through its net disk in batches. */
const netDiskInBatches: SimulationSchedule = schedule(
  {
    netDisk: true,
    workload: { ...busy, writesPercent: 80, readsPercent: 20, blocks: 64, blockBytes: 12_288 },
    latencies: { elementMs: 15, metadataMs: 0 },
  },
  [run(aloneMs)],
);

/** Bugs of the net disk that show in what an application finds again. */
export const netDiskMutants: readonly Mutant[] = [
  {
    name: 'reads the next requests over a write that is still under way',
    breaks: 'write.both',
    edits: [
      {
        file: 'net-disk/request-reader.ts',
        find: `    this.#hold.use(lengthBytes);
    this.#handler.request(request, this.#chunk.bytes.subarray(begin, end), this.#chunk);`,
        replace: `    this.#handler.request(request, this.#chunk.bytes.subarray(begin, end), null);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: netDiskInBatches,
  },
  {
    name: 'takes FUA for a hint',
    breaks: 'write.flush',
    edits: [
      {
        file: 'net-disk/transmission.ts',
        find: `device.write(offsetBytes, payload, { fua }, pending.done);`,
        replace: `device.write(offsetBytes, payload, { fua: fua && offsetBytes < 0 }, pending.done);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: netDiskLosesPower,
  },
  {
    name: 'answers a flush at once',
    breaks: 'write.flush',
    edits: [
      {
        file: 'net-disk/transmission.ts',
        find: `        device.flush(pending.done);`,
        replace: `        pending.done(null);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: netDiskLosesPower,
  },
];
