import type { Clock } from '../clock/clock.ts';
import type { FailoverStatus } from '../failover/status.ts';
import { HealthWatch } from '../heartbeat/health.ts';
import type { HealthAnswer, HealthProbe } from '../heartbeat/health.ts';
import { endOf, execute } from '../platform/program.ts';
import { peerOf } from './config.ts';
import type { HealthProbeConfig, PairConfig } from './config.ts';
import { lagProbe } from './lag-probe.ts';
import type { LaggingMirror } from './lag-probe.ts';

/** What the health of a node is looked at by. */
export interface NodeHealthOptions {
  readonly config: PairConfig;
  readonly node: string;
  readonly mirrors: readonly LaggingMirror[];
  readonly clock: Clock;
  /** Where the service is. */
  readonly status: () => Pick<FailoverStatus, 'serving' | 'service'>;
}

const elsewhere: HealthAnswer = { state: 'unknown', text: 'the service does not run on this node' };

/** Looks at what the configuration says, and at the lag of the mirrors; at nothing where it has no `monitor.health`. */
export function nodeHealth({ config, node, mirrors, clock, status }: NodeHealthOptions): HealthWatch {
  const { health, intervalMs, deadlineMs } = config.monitor;
  const variables = { HOTMIRROR_NODE: node, HOTMIRROR_PEER: peerOf(config, node) };
  const runs = (): boolean => status().serving && status().service === 'running';
  const programs = (health ?? []).map((probe) => programProbe(probe, { variables, clock, runs }));
  return new HealthWatch({ node, clock, probes: health ? [...programs, lagProbe({ mirrors, everyMs: intervalMs, deadlineMs })] : [] });
}

interface ProgramSurroundings {
  readonly variables: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Whether the service runs here now. */
  readonly runs: () => boolean;
}

function programProbe({ name, argv, when, everyMs, deadlineMs }: HealthProbeConfig, surroundings: ProgramSurroundings): HealthProbe {
  const { variables, clock, runs } = surroundings;
  const wanted = (): boolean => when === 'always' || runs();
  const check = async (signal: AbortSignal): Promise<HealthAnswer> => {
    if (!wanted()) return elsewhere;
    const outcome = await execute({ argv }, { what: name, variables, signal, clock });
    // A service that was stopped meanwhile has not failed.
    if (!wanted()) return elsewhere;
    return outcome.exitCode === 0 ? { state: 'ok' } : { state: 'failed', text: endOf(outcome) };
  };
  return { name, everyMs, deadlineMs, check };
}
