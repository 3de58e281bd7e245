import type { Mutant } from './mutant.ts';
import {
  copyUnderOverlaps,
  longWrites,
  longWritesAndPowerCuts,
  longWritesInTwoRegions,
  overlapsInPartition,
  pausesAlone,
} from './schedules.ts';

/** Of a schedule made for it a mutant needs a few seeds. */
const targetedSeeds = 12;

/** Bugs that need requests which overlap in part, or that are longer than one message, or pauses that follow each other. */
export const workloadMutants: readonly Mutant[] = [
  {
    name: 'takes only requests that begin at one place for overlapping ones',
    breaks: 'write.degraded',
    edits: [
      {
        file: 'mirror/request.ts',
        find: `request.offsetBytes < offsetBytes + lengthBytes && offsetBytes < request.offsetBytes + request.lengthBytes`,
        replace: `request.offsetBytes === offsetBytes && request.lengthBytes * lengthBytes > 0`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: overlapsInPartition,
  },
  {
    name: 'lets a write pass the read of an older copy where it begins before that',
    breaks: 'resync.newer',
    edits: [
      {
        file: 'mirror/stream-reads.ts',
        find: `offsetBytes < reading.offsetBytes + reading.lengthBytes && reading.offsetBytes < offsetBytes + lengthBytes`,
        replace: `lengthBytes > 0 && offsetBytes < reading.offsetBytes + reading.lengthBytes && reading.offsetBytes <= offsetBytes`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: copyUnderOverlaps,
  },
  {
    name: 'writes only the first piece of a long write',
    breaks: 'write.both',
    edits: [
      {
        file: 'mirror/split-request.ts',
        find: `    issue(atBytes, Math.min(maxPieceBytes, lengthBytes - atBytes), partDone);`,
        replace: `    if (atBytes === 0) issue(atBytes, maxPieceBytes, partDone);
    else partDone(null);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: longWrites,
  },
  {
    name: 'acknowledges a long write with its first piece',
    breaks: 'write.both',
    edits: [
      {
        file: 'mirror/split-request.ts',
        find: `    if (left === 0) done(first);`,
        replace: `    if (left === Math.ceil(lengthBytes / maxPieceBytes) - 1) done(first);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: longWrites,
  },
  {
    name: 'remembers of a write in flight only the extent in which it begins',
    breaks: 'write.inflight',
    edits: [
      {
        file: 'mirror/source.ts',
        find: `    const last = Math.floor((offsetBytes + lengthBytes - 1) / extentBytes);`,
        replace: `    const last = Math.floor(offsetBytes / extentBytes);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: longWritesAndPowerCuts,
  },
  {
    name: 'marks only the extent in which a range begins',
    breaks: 'write.intent',
    edits: [
      {
        file: 'mirror/dirty-map.ts',
        find: `    const last = Math.floor((offsetBytes + lengthBytes - 1) / this.extentBytes);`,
        replace: `    const last = Math.floor(offsetBytes / this.extentBytes);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: longWrites,
  },
  {
    name: 'logs only the region in which a write begins',
    breaks: 'write.intent',
    edits: [
      {
        file: 'mirror/activity-log.ts',
        find: `  return Math.floor((offsetBytes + Math.max(1, lengthBytes) - 1) / regionBytes);`,
        replace: `  return lengthBytes < 0 ? -1 : Math.floor(offsetBytes / regionBytes);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: longWritesInTwoRegions,
  },
  {
    name: 'answers a request for zeroes and writes none',
    breaks: 'write.both',
    edits: [
      {
        file: 'mirror/split-request.ts',
        find: `    intake.writeZeroes(offsetBytes + atBytes, pieceBytes, options, pieceDone);`,
        replace: `    intake.writeZeroes(offsetBytes + atBytes, pieceBytes - pieceBytes, options, pieceDone);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: longWrites,
  },
  {
    name: 'believes after a pause that a data link which still says so is connected',
    breaks: 'element.start',
    edits: [
      {
        file: 'mirror/mirror-link.ts',
        find: `    if ((await this.#core?.replication.proof()) !== true) await this.#order(doubt);`,
        replace: ``,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: pausesAlone,
  },
];
