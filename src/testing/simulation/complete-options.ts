import type { FailoverPolicy } from '../../failover/options.ts';
import { completePolicy } from '../../failover/options.ts';
import { initialGrace, watchTimes } from '../../heartbeat/options.ts';
import { defaultMirrorLimits, mirrorLimits } from '../../mirror/options.ts';
import type { MirrorProtocol, WhenCongested } from '../../mirror/options.ts';
import type { LinkConditions } from '../../transport/link-conditions.ts';
import { completeWorkload } from './application.ts';
import { checkForm, optionsForm } from './forms.ts';
import type { MirrorSize } from './node-disks.ts';
import type { PairSimulationOptions, SimulatedLatencies, SimulatedMirrorOptions, SimulationTimes, WorkloadOptions } from './options.ts';
import type { NodeName } from './steps.ts';
import type { Promises } from './watcher.ts';

const defaultMirrorBytes = 1_048_576;
const intervalShare = 0.2;
const leaseShare = 0.75;
const graceDeadlines = 2;
const percent = 100;

/** A mirror of the pair, with every default filled in. */
export interface CompleteMirror extends MirrorSize {
  readonly protocol: MirrorProtocol;
  readonly whenCongested: WhenCongested;
  readonly windowBytes: number;
}

/** The options with every default filled in. */
export interface CompleteOptions {
  readonly seed: number;
  readonly mirrors: readonly CompleteMirror[];
  readonly monitorLinks: readonly string[];
  readonly arbiter: boolean;
  readonly fence: boolean;
  readonly policy: FailoverPolicy;
  readonly times: SimulationTimes;
  readonly workload: WorkloadOptions | null;
  readonly netDisk: boolean;
  readonly links: LinkConditions;
  readonly latencies: Required<SimulatedLatencies>;
  readonly synchronousElements: boolean;
  readonly punchHole: boolean;
  readonly powerCuts: boolean;
  readonly partitions: boolean;
  readonly driftPpm: Readonly<Partial<Record<NodeName, number>>>;
  readonly threadLagMs: number;
  readonly undoJournalExtents: number;
  readonly activeRegions: number;
  readonly detail: 'events' | 'all';
}

/** Fills in the defaults. Throws `RangeError` for what makes no sense, with the path of the option. */
export function completeOptions(options: PairSimulationOptions): CompleteOptions {
  checkForm(optionsForm, options);
  const { deadlineMs = 5_000, ...times } = options.times ?? {};
  const complete: CompleteOptions = {
    seed: options.seed ?? 1,
    mirrors: (options.mirrors ?? [{ name: 'm0' }]).map(completeMirror),
    monitorLinks: options.monitorLinks ?? ['mon1', 'mon2'],
    arbiter: options.arbiter ?? false,
    fence: options.fence ?? false,
    policy: options.policy ?? {},
    times: {
      intervalMs: deadlineMs * intervalShare,
      leaseMs: deadlineMs * leaseShare,
      initialGraceMs: graceDeadlines * deadlineMs,
      ...times,
      deadlineMs,
    },
    workload: options.workload ?? null,
    netDisk: options.netDisk ?? false,
    links: options.links ?? { delayMs: 1 },
    latencies: { elementMs: 0, metadataMs: 0, arbiterMs: 0, ...options.latencies },
    synchronousElements: options.synchronousElements ?? false,
    punchHole: options.punchHole ?? false,
    powerCuts: options.powerCuts ?? false,
    partitions: options.partitions ?? true,
    driftPpm: options.driftPpm ?? {},
    threadLagMs: options.threadLagMs ?? 3,
    undoJournalExtents: options.undoJournalExtents ?? 0,
    activeRegions: options.activeRegions ?? 64,
    detail: options.detail ?? 'events',
  };
  refuseNonsense(complete);
  return complete;
}

/** Whether the source of a mirror goes on without a target that cannot keep up (rule write.congested). */
export function pullsAhead({ protocol, whenCongested }: CompleteMirror): boolean {
  return protocol === 'async' && whenCongested === 'pull-ahead';
}

function completeMirror({ name, sizeBytes, roomBytes, protocol, whenCongested, windowBytes }: SimulatedMirrorOptions): CompleteMirror {
  return {
    name,
    sizeBytes: sizeBytes ?? defaultMirrorBytes,
    roomBytes: roomBytes ?? 0,
    protocol: protocol ?? 'sync',
    whenCongested: whenCongested ?? 'block',
    windowBytes: windowBytes ?? defaultMirrorLimits.windowBytes,
  };
}

/** What configuration and policy promise. */
export function promisesOf({ arbiter, fence, policy, partitions, powerCuts }: CompleteOptions): Promises {
  const whenAlone = policy.whenAlone ?? (arbiter ? 'arbiter' : 'continue');
  return { oneOwner: whenAlone !== 'continue' || !partitions || fence || arbiter, powerCuts };
}

/** What each value is to the others, by the functions of the classes that are made from them: what is wrong is named by its path. */
function refuseNonsense(options: CompleteOptions): void {
  const { mirrors, monitorLinks, arbiter, policy, times, workload, activeRegions } = options;
  const { deadlineMs, leaseMs, initialGraceMs } = times;
  const names = [...mirrors.map(({ name }) => name), ...monitorLinks];
  if (new Set(names).size < names.length) throw new RangeError('mirrors, monitorLinks: two of them have the same name');
  if (names.some((name) => ['all', 'data', ''].includes(name) || name.includes(':')))
    throw new RangeError('mirrors, monitorLinks: all and data name no single link, and no name has a colon');
  named('times.', () => watchTimes(times));
  named('times.', () => initialGrace(initialGraceMs, deadlineMs));
  if (!(leaseMs > 0 && leaseMs < deadlineMs))
    throw new RangeError('times.leaseMs must be above 0 and below deadlineMs (rule timing.lease)');
  named('policy.', () => completePolicy(policy, arbiter));
  named('', () => mirrorLimits({ limits: { activeRegions } }));
  if (workload) refuseWorkload(completeWorkload(workload, options.powerCuts), mirrors);
}

function refuseWorkload({ blockBytes, writesPercent, readsPercent }: Required<WorkloadOptions>, mirrors: readonly MirrorSize[]): void {
  const small = mirrors.find(({ sizeBytes }) => sizeBytes < blockBytes);
  if (small) throw new RangeError(`workload.blockBytes must be at most the size of ${small.name}, ${String(small.sizeBytes)} bytes`);
  if (writesPercent + readsPercent > percent) throw new RangeError('workload.writesPercent and readsPercent must be at most 100 together');
}

/** Runs a check of a class that names its own options, and names those of the pair in its place. */
function named(path: string, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(error.message.replace(/^(?:limits\.)?/u, path), { cause: error });
  }
}
