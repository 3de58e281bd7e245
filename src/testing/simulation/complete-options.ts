import type { FailoverPolicy } from '../../failover/options.ts';
import type { LinkConditions } from '../../transport/link-conditions.ts';
import type { MirrorSize } from './node-disks.ts';
import type { PairSimulationOptions, SimulatedLatencies, SimulationTimes, WorkloadOptions } from './options.ts';
import { maxDriftPpm } from './options.ts';
import type { NodeName } from './steps.ts';
import { nodeNames } from './steps.ts';
import type { Promises } from './watcher.ts';

const defaultMirrorBytes = 1_048_576;
const blockBytes = 4_096;
const maxThreadLagMs = 1_000;
const leaseShare = 0.75;

/** The options with every default filled in. */
export interface CompleteOptions {
  readonly seed: number;
  readonly mirrors: readonly MirrorSize[];
  readonly monitorLinks: readonly string[];
  readonly arbiter: boolean;
  readonly fence: boolean;
  readonly policy: FailoverPolicy;
  readonly times: SimulationTimes;
  readonly workload: WorkloadOptions | null;
  readonly links: LinkConditions;
  readonly latencies: Required<SimulatedLatencies>;
  readonly synchronousElements: boolean;
  readonly powerCuts: boolean;
  readonly partitions: boolean;
  readonly driftPpm: Readonly<Partial<Record<NodeName, number>>>;
  readonly threadLagMs: number;
  readonly activeRegions: number;
  readonly detail: 'events' | 'all';
}

/** Fills in the defaults. Throws `RangeError` for what makes no sense. */
export function completeOptions(options: PairSimulationOptions): CompleteOptions {
  const { deadlineMs = 5_000, ...times } = options.times ?? {};
  const complete: CompleteOptions = {
    seed: options.seed ?? 1,
    mirrors: (options.mirrors ?? [{ name: 'm0' }]).map(({ name, sizeBytes = defaultMirrorBytes }) => ({ name, sizeBytes })),
    monitorLinks: options.monitorLinks ?? ['mon1', 'mon2'],
    arbiter: options.arbiter ?? false,
    fence: options.fence ?? false,
    policy: options.policy ?? {},
    times: { intervalMs: deadlineMs / 5, leaseMs: deadlineMs * leaseShare, initialGraceMs: 2 * deadlineMs, ...times, deadlineMs },
    workload: options.workload ?? null,
    links: options.links ?? { delayMs: 1 },
    latencies: { elementMs: 0, metadataMs: 0, arbiterMs: 0, ...options.latencies },
    synchronousElements: options.synchronousElements ?? false,
    powerCuts: options.powerCuts ?? false,
    partitions: options.partitions ?? true,
    driftPpm: options.driftPpm ?? {},
    threadLagMs: options.threadLagMs ?? 3,
    activeRegions: options.activeRegions ?? 64,
    detail: options.detail ?? 'events',
  };
  refuseNonsense(complete);
  return complete;
}

/** What configuration and policy promise. */
export function promisesOf({ arbiter, fence, policy, partitions, powerCuts }: CompleteOptions): Promises {
  const whenAlone = policy.whenAlone ?? (arbiter ? 'arbiter' : 'continue');
  return { oneOwner: whenAlone !== 'continue' || !partitions || fence, powerCuts };
}

function refuseNonsense({ seed, mirrors, monitorLinks, driftPpm, threadLagMs, times }: CompleteOptions): void {
  const names = [...mirrors.map(({ name }) => name), ...monitorLinks];
  if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError('seed must be a whole number from 0');
  if (mirrors.length === 0 || monitorLinks.length === 0) throw new RangeError('a pair has at least one mirror and one monitor link');
  if (new Set(names).size < names.length) throw new RangeError('two mirrors or links have the same name');
  if (names.some((name) => ['all', 'data', ''].includes(name) || name.includes(':')))
    throw new RangeError('all and data name no single link, and no name has a colon');
  for (const { name, sizeBytes } of mirrors)
    if (!(Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % blockBytes === 0))
      throw new RangeError(`sizeBytes of ${name} must be a multiple of ${String(blockBytes)}`);
  for (const node of nodeNames)
    if (Math.abs(driftPpm[node] ?? 0) > maxDriftPpm) throw new RangeError(`driftPpm of ${node} must be within ±${String(maxDriftPpm)}`);
  if (!(threadLagMs >= 0 && threadLagMs <= maxThreadLagMs)) throw new RangeError(`threadLagMs must be 0 to ${String(maxThreadLagMs)}`);
  if (!(times.leaseMs > 0 && times.leaseMs < times.deadlineMs))
    throw new RangeError('leaseMs must be below deadlineMs (rule timing.lease)');
}
