import type { Mutant } from './mutant.ts';
import { arbitratedPartition, bootCutOff, flickersBeforeGoingAlone, oneSilentLink, silentMonitorLinks, staleTarget } from './schedules.ts';

/** Of a schedule made for it a mutant needs a few seeds. */
const targetedSeeds = 12;

/** Bugs of failover, watching and durable records. */
export const failoverMutants: readonly Mutant[] = [
  {
    name: 'writes a record without a flush',
    breaks: 'takeover.commit',
    edits: [
      {
        file: 'device/durable-record.ts',
        find: `    await this.#io.write(atBytes, bytes);
    await this.#io.flush();`,
        replace: `    await this.#io.write(atBytes, bytes);`,
      },
    ],
    withinSeeds: 30,
  },
  {
    name: 'takes over with an element that is not uptodate',
    breaks: 'takeover.uptodate',
    edits: [
      {
        file: 'failover/takeover.ts',
        find: `mirrors.filter(({ element }) => element !== 'uptodate')`,
        replace: `mirrors.filter(({ element }) => element !== 'uptodate' && element !== 'consistent')`,
      },
      {
        file: 'failover/handover.ts',
        find: `  return element === 'uptodate' || (force && (element === 'consistent' || element === 'outdated'));`,
        replace: `  return element === 'uptodate' || element === 'consistent' || (force && element === 'outdated');`,
      },
      {
        file: 'mirror/orders.ts',
        find: `force ? ['uptodate', 'consistent', 'outdated'] : ['uptodate'];`,
        replace: `force ? ['uptodate', 'consistent', 'outdated'] : ['uptodate', 'consistent'];`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: staleTarget,
  },
  {
    name: 'compares the number of a grant and not its owner',
    breaks: 'arbiter.cas',
    edits: [
      {
        file: 'failover/arbitration.ts',
        find: `    if (compareEpochs(current, next) === 'equal') return { granted: true };`,
        replace: `    if (current.number >= next.number) return { granted: true };`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: arbitratedPartition,
  },
  {
    name: 'takes one silent link for the death of the peer',
    breaks: 'watch.all',
    edits: [
      {
        file: 'heartbeat/verdict.ts',
        find: `  if (alive.length > 0)`,
        replace: `  if (alive.length === all.length)`,
      },
      {
        file: 'heartbeat/verdict.ts',
        find: `  if (waiting.length > 0)`,
        replace: `  if (waiting.length === all.length)`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: oneSilentLink,
  },
  {
    name: 'looks at the monitor links alone for the death of the peer',
    breaks: 'watch.all',
    edits: [
      {
        file: 'heartbeat/verdict.ts',
        find: `  const all = [...seen.links, ...seen.sources];`,
        replace: `  const all = [...seen.links];`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: silentMonitorLinks,
  },
  {
    name: 'serves alone after a start whatever the policy says',
    breaks: 'boot.alone',
    edits: [
      {
        file: 'failover/boot.ts',
        find: `  if (evidence.bootAlone === 'serve') return serveAlone(`,
        replace: `  if (evidence.bootAlone !== null) return serveAlone(`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: bootCutOff,
  },
  {
    name: 'lets the peer become whole while the record is raised to go on alone',
    breaks: 'alone',
    edits: [
      {
        file: 'failover/alone-run.ts',
        find: `    const held = await hold(node, permits);`,
        replace: `    const held = node.serving ? permits : await hold(node, permits);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: flickersBeforeGoingAlone,
  },
];
