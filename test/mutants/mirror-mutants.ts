import type { Mutant } from './mutant.ts';
import {
  healedPartition,
  breakingLink,
  brokenPartition,
  crashAlone,
  cutOffAfterAlone,
  partition,
  stopAlone,
  targetLosesPower,
} from './schedules.ts';

/** Of a schedule made for it a mutant needs a few seeds. */
const targetedSeeds = 12;

/** The activity log names a region only when the data is on its way. */
export const logEntryAfterData: Mutant['edits'][number] = {
  file: 'mirror/intent-log.ts',
  find: `      await store.update(() => ({ activeRegions }), false);
      activity.add(added);
      this.#options.logged();`,
  replace: `      activity.add(added);
      this.#options.logged();
      await store.update(() => ({ activeRegions }), false);`,
};

/** Bugs of the mirror. */
export const mirrorMutants: readonly Mutant[] = [
  {
    name: 'acknowledges a write before the target has it',
    breaks: 'write.both',
    edits: [
      {
        file: 'mirror/request.ts',
        find: `  request.remote = (request.kind === 'flush' ? 0 : 1) + (flushes ? 1 : 0);
  if (request.kind === 'write') session.write(request.offsetBytes, request.bytes, held);`,
        replace: `  request.remote = (request.kind === 'zeroes' ? 1 : 0) + (flushes ? 1 : 0);
  if (request.kind === 'write') session.write(request.offsetBytes, request.bytes, () => undefined);`,
      },
    ],
    withinSeeds: 100,
  },
  {
    name: 'forgets what was in flight when the data link drops',
    breaks: 'write.inflight',
    edits: [
      {
        file: 'mirror/serving.ts',
        find: `    for (const extent of session.unconfirmed()) this.#options.store.dirty.mark(extent);\n`,
        replace: ``,
      },
      {
        file: 'mirror/serving.ts',
        find: `      if (request.kind !== 'flush') this.#options.store.dirty.markRange(request.offsetBytes, request.lengthBytes);
      this.#advance(request);`,
        replace: `      this.#advance(request);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: targetLosesPower,
  },
  {
    name: 'confirms a flush on the target without one',
    breaks: 'write.flush',
    edits: [
      {
        file: 'mirror/target.ts',
        find: `          this.#flush(() => {
            this.#options.data.send('flushed', message.a);
          });`,
        replace: `          this.#options.data.send('flushed', message.a);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: targetLosesPower,
  },
  {
    name: 'writes the log entry after the data',
    breaks: 'write.intent',
    edits: [logEntryAfterData],
    withinSeeds: 60,
  },
  {
    name: 'does not look at the log after a crash',
    breaks: 'lineage.union',
    edits: [
      {
        file: 'mirror/element-lifecycle.ts',
        find: `  for (const region of metadata.activeRegions) store.markAfterCrash(region * regionBytes, regionBytes);\n`,
        replace: `  void regionBytes;\n`,
      },
    ],
    withinSeeds: 100,
  },
  {
    name: 'clears the crashed mark at the end without making the dirty map durable',
    breaks: 'write.intent',
    edits: [
      {
        file: 'mirror/element-lifecycle.ts',
        find: `    await flushElement(device);
    await store.persistDirty();
    if (store`,
        replace: `    await flushElement(device);
    if (store`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: stopAlone,
  },
  {
    name: 'completes alone under the generation of both',
    breaks: 'lineage.mint',
    edits: [
      {
        file: 'mirror/serving.ts',
        find: `    if (!request.error && request.single && !this.#generation.done) {
      this.#awaitingMint.push(request);
      this.#mint();
      return;
    }\n`,
        replace: ``,
      },
      {
        file: 'mirror/serving.ts',
        find: `    return (this.#mayBeAlone || this.ahead.active) && !this.#session && !this.#generation.done;`,
        replace: `    return !this.#serving && !this.#generation.done;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: crashAlone,
  },
  {
    name: 'remembers that it may be alone after the lineage was offered',
    breaks: 'write.degraded',
    edits: [
      {
        file: 'mirror/serving.ts',
        find: `  offered(): void {
    this.#mayBeAlone = false;`,
        replace: `  offered(): void {`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: cutOffAfterAlone,
  },
  {
    name: 'completes what waits for the peer when the data link is lost',
    breaks: 'serve.fresh',
    edits: [
      {
        file: 'mirror/serving.ts',
        find: `    if (this.#mayBeAlone) this.#completeAlone();`,
        replace: `    this.#completeAlone();`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: brokenPartition,
  },
  {
    name: 'lets a read see a write that is under way',
    breaks: 'write.degraded',
    edits: [
      {
        file: 'mirror/reads.ts',
        find: `    if (before.length === 0 && this.#options.ready()) return false;`,
        replace: `    if (before.length >= 0 && this.#options.ready()) return false;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: partition,
  },
  {
    name: 'has a lease that never ends',
    breaks: 'serve.lease',
    edits: [
      {
        file: 'mirror/lease.ts',
        find: `    return this.#clock.nowMs() < this.#untilMs;`,
        replace: `    return this.#untilMs > -Infinity;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: partition,
  },
  {
    name: 'offers the lineage before the resync is over',
    breaks: 'lineage.adopt',
    edits: [
      {
        file: 'mirror/source-end.ts',
        find: `    if (this.#resync) this.#resync.pump();
    else this.#offer();`,
        replace: `    this.#resync?.pump();
    this.#offer();`,
      },
      {
        file: 'mirror/source-end.ts',
        find: `      finished: () => {
        this.#offer();
      },`,
        replace: `      finished: () => undefined,`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: breakingLink,
  },
  {
    name: 'copies what the source knows to differ and not what the target knows',
    breaks: 'lineage.union',
    edits: [
      {
        file: 'mirror/replication.ts',
        find: `include: (first, count) => this.#options.store.dirty.markRun(first, count),`,
        replace: `include: (first) => void this.#options.store.dirty.has(first),`,
      },
    ],
    withinSeeds: 100,
  },
  {
    name: 'lets a write pass the read of an older copy',
    breaks: 'resync.newer',
    edits: [
      {
        file: 'mirror/serving.ts',
        find: `(!session.hasRoom(request) || (!active && work?.locks(offsetBytes, lengthBytes)))`,
        replace: `!session.hasRoom(request) && (active || offsetBytes + lengthBytes > 0)`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: breakingLink,
  },
  {
    name: 'seals nothing, and takes frames of an older epoch',
    breaks: 'takeover.seal, lineage.epoch',
    edits: [
      {
        file: 'mirror/orders.ts',
        find: `{ rule: 'takeover.seal' });
  await replication.stop();`,
        replace: `{ rule: replication.stopped ? 'takeover.seal' : 'takeover.seal' });
  return Promise.resolve();`,
      },
      {
        file: 'mirror/orders.ts',
        find: `  if (replication.role !== 'source') await replication.stop();\n`,
        replace: ``,
      },
      {
        file: 'mirror/replication.ts',
        find: `    this.#stale = order === 'lower' && mine.owner !== peer;`,
        replace: `    this.#stale = mine.number < 0 && mine.owner !== peer;`,
      },
    ],
    withinSeeds: 60,
  },
  {
    name: 'serves on when a higher epoch is heard of',
    breaks: 'lineage.epoch',
    edits: [
      {
        file: 'mirror/mirror-core.ts',
        find: `    if (!served) return;
    const text`,
        replace: `    if (!served || order === 'higher') return;
    const text`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: healedPartition,
  },
];
