import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { SimulationStep } from '../../src/testing/simulation/steps.ts';
import type { Mutant } from './mutant.ts';
import { aloneMs, busy, repeated, run, schedule } from './schedules.ts';

const targetedSeeds = 20;
/** A few writes fill it. */
const windowBytes = 16_384;
/** Far more than a write takes to arrive. */
const slowMs = 150;

/** The target's disk takes so much longer from here on: long enough, and the queue to it is full. */
const slower = (addMs: number): SimulationStep => ({
  do: 'disk',
  node: 'beta',
  disk: 'element',
  mirror: 'm0',
  fault: { kind: 'slow', addMs },
});
const congest: readonly SimulationStep[] = [run(500), slower(slowMs), run(500)];
const relieve = slower(1);

const congested = (steps: readonly SimulationStep[]): SimulationSchedule =>
  schedule(
    {
      mirrors: [{ name: 'm0', protocol: 'async', whenCongested: 'pull-ahead', windowBytes }],
      policy: { whenAlone: 'freeze' },
      workload: { ...busy, writesPercent: 70, readsPercent: 20, blocks: 32 },
      links: { delayMs: 20 },
    },
    steps,
  );

/** It is, and comes back to itself. */
const catchesUp = congested(repeated(3, [...congest, relieve, run(aloneMs)]));

/** The source dies while it is ahead, and comes back. */
const diesAhead = congested(
  repeated(2, [
    ...congest,
    { do: 'crash', node: 'alpha', how: 'process' },
    relieve,
    run(aloneMs),
    { do: 'boot', node: 'alpha' },
    run(aloneMs),
  ]),
);

/** Bugs of the congestion policy. */
export const congestionMutants: readonly Mutant[] = [
  {
    name: 'marks nothing dirty while it is ahead',
    breaks: 'write.congested',
    edits: [
      {
        file: 'mirror/serving.ts',
        find: `    if (!this.#session) store.dirty.markRange(offsetBytes, lengthBytes);`,
        replace: `    if (!this.#session && !this.ahead.active) store.dirty.markRange(offsetBytes, lengthBytes);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: catchesUp,
  },
  {
    name: 'goes ahead without a word to the target',
    breaks: 'write.congested',
    edits: [
      {
        file: 'mirror/pull-ahead.ts',
        find: `    this.#options.session.sayAhead(() => this.#confirmed());`,
        replace: `    this.#confirmed();`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: diesAhead,
  },
  {
    name: 'stays ahead for ever',
    breaks: 'write.congested',
    edits: [
      {
        file: 'mirror/pull-ahead.ts',
        find: `() => serving.apart());
    reconnect();`,
        replace: `() => serving.apart());
    void reconnect;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: catchesUp,
  },
];
