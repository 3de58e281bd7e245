import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { repositoryRoot } from '../../test/support/repository.ts';

/** Where recordings are kept. */
export const recordingFolder: string = path.join(repositoryRoot, 'bench/traces');

/** What is in a file of `bench/traces`. */
export interface RecordingFile {
  readonly machine: string;
  readonly recorded: string;
  readonly about: string;
  /** Between two tokens. */
  readonly intervalMs: number;
  /** From when each token was due to when the other process had it, in microseconds: how late the sender was, and the way. */
  readonly delaysUs: readonly number[];
}

/** Delays of tokens that were really sent. */
export interface Recording {
  readonly name: string;
  readonly about: string;
  readonly intervalMs: number;
  readonly delaysMs: readonly number[];
}

/** Every recording that there is, by name. */
export function readRecordings(folder: string = recordingFolder): readonly Recording[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => {
    const file = JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as RecordingFile;
    const { about, intervalMs, delaysUs } = file;
    return { name: path.basename(name, '.json'), about, intervalMs, delaysMs: delaysUs.map((each) => each / 1_000) };
  });
}
