import type { Mutant } from './mutant.ts';
import { wornOut } from './io-schedules.ts';

/** Of a schedule made for it a mutant needs a few seeds. */
const targetedSeeds = 12;

/** Bugs that show where the serving node's element fails to read or write. */
export const ioMutants: readonly Mutant[] = [
  {
    name: 'writes what it fetched over a newer write',
    breaks: 'write.error',
    edits: [
      {
        file: 'mirror/read-repair.ts',
        find: `if (!overtaken && !this.#options.diskless()) this.#rewrite(`,
        replace: `if (!this.#options.diskless()) this.#rewrite(`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: wornOut,
  },
];
