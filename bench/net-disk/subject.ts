import type { Workplace } from '../support/processes.ts';

/** Something that hands out a disk by NBD; it is measured beside the others. */
export interface Subject {
  readonly name: string;
  /** How many copies of the disk it keeps. */
  readonly copies: 1 | 2;
  /** Serves a disk whose every byte is written, in a folder of its own. */
  start(place: Workplace, sizeBytes: number): Promise<ServingSubject>;
}

/** One that serves. */
export interface ServingSubject {
  readonly uri: string;
  /** Every process that serves, whose CPU time and memory count. */
  readonly pids: readonly number[];
  /** Its copies of the disk, that which is read first. */
  readonly images: readonly string[];
}
