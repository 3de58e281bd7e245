import { createHash } from 'node:crypto';

import type { SimulatedDisk } from '../simulation/simulated-disk.ts';
import type { NodeName } from '../simulation/steps.ts';
import { nodeNames } from '../simulation/steps.ts';
import type { World } from '../simulation/world.ts';
import { smallTimes } from './options.ts';
import { renameIds } from './rename-ids.ts';
import type { Traffic } from './traffic.ts';

/** Beyond this age it makes no difference how old something is: every rule asks for a deadline at most, or for what follows one. */
const oldestMs = 1.5 * smallTimes.deadlineMs;
const microsPerMs = 1_000;

/** Fields that are no times, or that nothing but a report depends on. */
const durations: ReadonlySet<string> = new Set(['intervalMs', 'deadlineMs', 'lateProbeMs']);
/** Moments until which something holds: once past, they make no difference. */
const untils: ReadonlySet<string> = new Set(['graceUntilMs', 'leaseUntilMs', 'nextMs']);
/** Words for people, counters that only tell old from new, and measurements. */
const ignored: ReadonlySet<string> = new Set([
  ...['because', 'text', 'evidence', 'note', 'rttMs', 'sequence', 'peerSequence', 'roundTripMs'],
  ...['startedMs', 'bytesPerSecond', 'remainingMs'],
]);

/** What the world consists of beside its parts' own snapshots. */
export interface Surroundings {
  readonly world: World;
  readonly traffic: Traffic;
  /** Where the application has written: places of the elements that can differ from zero. */
  readonly written: readonly number[];
  /** Requests without answer and answers so far, as far as a promise depends on them. */
  readonly application: unknown;
  /** Deliveries that are held, each with the timer that it waits for. */
  readonly held: ReadonlyMap<number, number>;
  /** Events since time last moved: what is done in several turns of one instant shows nowhere else how far it is. */
  readonly instant: number;
}

/** Recognises a state: equal for two states from which the same choices lead to the same, as far as the classes' own snapshots tell. */
export async function stateKey(surroundings: Surroundings): Promise<string> {
  return createHash('sha1')
    .update(await stateText(surroundings))
    .digest('base64');
}

/** The state in words: what {@link stateKey} is made from. */
export async function stateText(surroundings: Surroundings): Promise<string> {
  const { world, traffic, application, held, instant } = surroundings;
  const nowMs = world.clock.nowMs();
  const age = (atMs: number): number | string => ageOf(atMs, nowMs);
  const timers = world.clock.waiting();
  const place = (order: number): number => timers.findIndex((timer) => timer.order === order);
  const state = [
    nodeNames.map((node) => nodeState(world, node)),
    [...world.network.links.keys()].map((link) => nodeNames.map((node) => world.network.isOpen(link, node))),
    traffic.view(age),
    instant,
    timers.map(({ label, dueMs }) => [label, age(dueMs)]),
    [...held].map(([delivery, behind]) => [place(delivery), place(behind)]),
    await world.arbiter.current(),
    contents(surroundings),
    application,
  ];
  const text = JSON.stringify(state, (name, value: unknown) => {
    if (ignored.has(name)) return undefined;
    if (typeof value !== 'number' || !name.endsWith('Ms') || durations.has(name)) return value;
    return age(untils.has(name) ? Math.max(value, nowMs) : value);
  });
  // What a node that is down has on its disks is told with its true ids.
  const down = nodeNames.some((node) => !world.nodes[node].process);
  return down ? text : renameIds(text);
}

function ageOf(atMs: number, nowMs: number): number | string {
  const ageMs = nowMs - atMs;
  return ageMs > oldestMs ? 'old' : Math.round(ageMs * microsPerMs);
}

const digests = new WeakMap<SimulatedDisk, { readonly version: number; readonly digest: string }>();

function digest(disk: SimulatedDisk): string {
  const known = digests.get(disk);
  if (known?.version === disk.version) return known.digest;
  const made = createHash('sha1').update(disk.contents).digest('base64');
  digests.set(disk, { version: disk.version, digest: made });
  return made;
}

function nodeState({ nodes }: World, node: NodeName): unknown {
  const { process, disks } = nodes[node];
  if (!process) return disks.all.map(digest);
  if (!process.ready) return [process.opened, disks.all.map(digest)];
  return [
    [...process.mirrors.values()].map((mirror) => mirror.snapshot()),
    process.orchestrator.snapshot(),
    process.monitor.snapshot(),
    process.stopping,
  ];
}

function contents({ world, written }: Surroundings): unknown {
  return nodeNames.map((node) =>
    [...world.nodes[node].disks.mirrors.values()].map(({ element }) => written.map((offsetBytes) => element.contents[offsetBytes])),
  );
}
