import { failingFences, lossyArbiter, slowFence, suspendedServer } from './control-schedules.ts';
import type { Mutant } from './mutant.ts';

/** Of a schedule made for it a mutant needs a few seeds. */
const targetedSeeds = 12;

/** Bugs around what decides who may serve: clocks, arbiter and fence. */
export const controlMutants: readonly Mutant[] = [
  {
    name: 'has a lease that outlives a suspend',
    breaks: 'serve.lease',
    edits: [
      {
        file: 'mirror/lease.ts',
        find: `    if (Math.abs(wallOffsetMs - this.#wallOffsetMs) <= this.#jumpMs) return;`,
        replace: `    if (nowMs >= this.#notBeforeMs) return;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: suspendedServer,
  },
  {
    name: 'takes a lost answer of the arbiter for a grant',
    breaks: 'arbiter.cas',
    edits: [
      {
        file: 'failover/arbitration.ts',
        find: `      return typeof current !== 'string' && compareEpochs(current, to) === 'equal' ? { granted: true, epoch: to } : null;`,
        replace: `      return typeof current !== 'string' && compareEpochs(current, to) === 'higher' ? null : { granted: true, epoch: to };`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: lossyArbiter,
  },
  {
    name: 'takes over although the fence failed',
    breaks: 'takeover.fence',
    edits: [
      {
        file: 'failover/takeover-run.ts',
        find: `        () => true,
        () => false,`,
        replace: `        () => true,
        () => true,`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: failingFences,
  },
  {
    name: 'goes on alone although the fence failed',
    breaks: 'alone, takeover.fence',
    edits: [
      {
        file: 'failover/alone-run.ts',
        find: `    attemptFailed(node);
    return false;`,
        replace: `    attemptFailed(node);
    return true;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: failingFences,
  },
  {
    name: 'goes on alone and leaves the fence to the peer',
    breaks: 'alone, takeover.fence',
    edits: [
      {
        file: 'failover/alone.ts',
        find: `  if (fence && !(operator`,
        replace: `  if (fence && operator && !(operator`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: slowFence,
  },
];
