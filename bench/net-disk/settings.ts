import { statfsSync } from 'node:fs';
import os from 'node:os';

import type { ReportWishes } from '../benchmark.ts';

const mebibyte = 2 ** 20;
const tmpfsMagic = 0x01_02_19_94;
const inMemory = '/dev/shm';

/** Where the disks of one part of the report are. */
export interface Medium {
  readonly name: 'memory' | 'disk';
  readonly parent: string;
}

/** How thoroughly it is measured. */
export interface Settings {
  readonly sizeBytes: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly media: readonly Medium[];
  readonly hasty: boolean;
}

const full = { sizeBytes: 1_024 * mebibyte, seconds: 2, rounds: 5 } as const;
const short = { sizeBytes: 64 * mebibyte, seconds: 0.3, rounds: 1 } as const;

/** Short ones leave the disk out. */
export function settingsFor(wishes: ReportWishes): Settings {
  const defaults = wishes.short ? short : full;
  const media: Medium[] = [{ name: 'memory', parent: inMemory }];
  if (!wishes.short || wishes.disk !== null) media.push({ name: 'disk', parent: wishes.disk ?? os.tmpdir() });
  return {
    sizeBytes: defaults.sizeBytes,
    seconds: wishes.seconds ?? defaults.seconds,
    rounds: wishes.rounds ?? defaults.rounds,
    media,
    hasty: wishes.short,
  };
}

/** Why nothing can be told of a medium; null: it can. */
export function unfitness({ name, parent }: Medium): string | null {
  try {
    const isTmpfs = statfsSync(parent).type === tmpfsMagic;
    if (name === 'memory' && !isTmpfs) return `${parent} is no tmpfs`;
    if (name === 'disk' && isTmpfs) return `${parent} is a tmpfs: name a folder on a disk by --disk`;
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
