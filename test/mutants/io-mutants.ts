import type { Mutant } from './mutant.ts';
import { diskLost, failureUnrecorded, metadataLost, wornOut } from './io-schedules.ts';

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
  {
    name: 'sends on through the peer before that has made it durable that it alone holds everything',
    breaks: 'write.intent',
    edits: [
      {
        file: 'mirror/serving.ts',
        find: `    if (!this.#serving || this.diskless.waits) return false;`,
        replace: `    if (!this.#serving) return false;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: metadataLost,
  },
  {
    name: 'goes on through the peer before it is durable that its own element failed',
    breaks: 'write.error',
    edits: [
      {
        file: 'mirror/diskless.ts',
        find: `session.compares.allAnswered(() => void recorded.then(ask));`,
        replace: `session.compares.allAnswered(() => (void recorded, ask(true)));`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: failureUnrecorded,
  },
  {
    name: 'takes the failed element for a source when the data link is back',
    breaks: 'lineage.source',
    edits: [
      {
        file: 'mirror/replication.ts',
        find: `    if (through) source.beginThrough();
    else source.begin();`,
        replace: `    source.begin();`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: diskLost,
  },
  {
    name: 'ends the service with the element, though the peer holds everything',
    breaks: 'write.error',
    edits: [
      {
        file: 'mirror/serving.ts',
        find: `    if (!this.#serving || !session?.mayDetach || this.#options.store.dirty.count > 0) return false;`,
        replace: `    if (session || !this.#serving) return false;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: diskLost,
  },
  {
    name: 'reads on from the element that failed',
    breaks: 'write.error',
    edits: [
      {
        file: 'mirror/serving.ts',
        find: `      diskless: () => this.diskless.active,`,
        replace: `      diskless: () => false,`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: diskLost,
  },
  {
    name: 'completes through the peer whatever is over first, and sends only the rest again',
    breaks: 'write.order',
    edits: [
      {
        file: 'mirror/diskless.ts',
        find: `      if (request.remote > 0) return;`,
        replace: `      if (request.remote > 0) continue;`,
      },
    ],
    withinSeeds: 40,
    schedule: diskLost,
  },
];
