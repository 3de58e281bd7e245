import type { MirrorProtocol } from '../../src/mirror/options.ts';
import type { SimulationSchedule } from '../../src/testing/simulation/schedule.ts';
import type { NodeName, SimulationStep } from '../../src/testing/simulation/steps.ts';
import type { Mutant } from './mutant.ts';
import { aloneMs, busy, repeated, run, schedule } from './schedules.ts';

const targetedSeeds = 20;
const fewWritesBytes = 16_384;
/** Of two writes under way one is more than it. */
const oneWriteBytes = 4_096;
const writing = { ...busy, writesPercent: 70, readsPercent: 10 };

const killed = (node: NodeName): readonly SimulationStep[] => [
  run(700),
  { do: 'crash', node, how: 'process' },
  run(aloneMs),
  { do: 'boot', node },
  run(aloneMs),
];

/** The serving node is killed in the middle of its work, and the other takes over; there and back. */
const takeovers = (protocol: MirrorProtocol, elementMs: number, windowBytes = fewWritesBytes): SimulationSchedule =>
  schedule(
    {
      mirrors: [{ name: 'm0', protocol, windowBytes }],
      policy: { whenAlone: 'freeze' },
      workload: writing,
      links: { delayMs: 20 },
      latencies: { elementMs },
    },
    repeated(2, [...killed('alpha'), ...killed('beta')]),
  );

/** The target's disk takes longer than the cable, so that much waits in its hands when the source dies. */
const slowTarget: SimulationSchedule = schedule(
  { mirrors: [{ name: 'm0', protocol: 'memsync' }], policy: { whenAlone: 'freeze' }, workload: { ...writing, fuaPercent: 0 } },
  [
    run(500),
    { do: 'disk', node: 'beta', disk: 'element', mirror: 'm0', fault: { kind: 'slow', addMs: 150 } },
    run(200),
    { do: 'crash', node: 'alpha', how: 'process' },
    run(aloneMs),
    { do: 'boot', node: 'alpha' },
    run(aloneMs),
  ],
);

/** The source dies in the middle of its work and is back before anybody takes over. */
const sourceReturns: SimulationSchedule = schedule(
  {
    mirrors: [{ name: 'm0', protocol: 'async' }],
    policy: { whenAlone: 'freeze' },
    workload: writing,
    links: { delayMs: 20 },
  },
  repeated(4, [run(700), { do: 'crash', node: 'alpha', how: 'process' }, run(20), { do: 'boot', node: 'alpha' }, run(aloneMs)]),
);

/** Bugs of the protocols beside sync. */
export const protocolMutants: readonly Mutant[] = [
  {
    name: 'acknowledges by memsync what it has only sent',
    breaks: 'write.both',
    edits: [
      {
        file: 'mirror/source.ts',
        find: `    this.#options.data.send('write', sequence, offsetBytes, promise === 'async' ? copyOf(bytes) : bytes);
    if (promise === 'async') held(sequence);`,
        replace: `    this.#options.data.send('write', sequence, offsetBytes, promise === 'sync' ? bytes : bytes.slice());
    if (promise !== 'sync') held(sequence);`,
      },
    ],
    withinSeeds: 2 * targetedSeeds,
    schedule: takeovers('memsync', 2),
  },
  {
    name: 'answers a flush by async before the target has',
    breaks: 'write.flush',
    edits: [
      {
        file: 'mirror/source.ts',
        find: `    this.#options.data.send('flush', this.#flushes);`,
        replace: `    this.#options.data.send('flush', this.#flushes);
    if (this.#options.protocol.current === 'async') {
      this.#flushing.set(this.#flushes, { written: this.#written, sequence: this.#sequence, flushed: () => undefined });
      flushed();
    }`,
      },
    ],
    withinSeeds: 3 * targetedSeeds,
    schedule: takeovers('async', 2),
  },
  {
    name: 'forgets with the connection what it said that it received',
    breaks: 'takeover.seal',
    edits: [
      {
        file: 'mirror/target.ts',
        find: `    if (this.#isIdle) return Promise.resolve();`,
        replace: `    this.#order.clear();
    if (this.#isIdle) return Promise.resolve();`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: slowTarget,
  },
  {
    name: 'takes no notice of barriers',
    breaks: 'write.order',
    edits: [
      {
        file: 'mirror/target.ts',
        find: `        this.#order.barrier(this.#received);`,
        replace: `        this.#order.barrier(0);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: takeovers('async', 15),
  },
  {
    name: 'takes the one that did not crash for the source, by async too',
    breaks: 'lineage.equal',
    edits: [
      {
        file: 'mirror/lineage.ts',
        find: `  const ahead = (a.mayBeAhead && a.servedEpoch >= b.servedEpoch) || (b.mayBeAhead && b.servedEpoch >= a.servedEpoch);`,
        replace: `  const ahead = a.mayBeAhead && b.mayBeAhead;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: sourceReturns,
  },
  {
    name: 'acknowledges by async more than the window',
    breaks: 'write.both',
    edits: [
      {
        file: 'mirror/source.ts',
        find: `    return this.#windowBytes === 0 || this.#takesBytes(request) <= roomBytes;`,
        replace: `    return this.#windowBytes === 0 || this.#takesBytes(request) > 0 || roomBytes > 0;`,
      },
    ],
    withinSeeds: 2 * targetedSeeds,
    schedule: takeovers('async', 15, oneWriteBytes),
  },
];
