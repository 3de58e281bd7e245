import type { Arbiter } from '../arbiter/arbiter.ts';
import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import type { ProbeReport } from '../health.ts';
import type { PlatformActions } from '../platform/platform-actions.ts';
import type { WhenAlone } from './alone.ts';
import type { Control, PairRecordStore } from './pair-record.ts';
import type { MirrorPort, MonitorPort } from './ports.ts';

/** What an operator decided beforehand. */
export interface FailoverPolicy {
  /** Automatic takeover on or off, until {@link PairRecordStore} holds an operator's later word. Default `auto`. */
  readonly control?: Control;
  /** Default `arbiter` with one, else `continue`. */
  readonly whenAlone?: WhenAlone;
  /** Whether the last owner serves after a start without its peer. Default `wait`. */
  readonly bootAlone?: 'wait' | 'serve';
  /** Longest run of one platform step, and of one order to a mirror. Default 60,000. */
  readonly stepDeadlineMs?: number;
  /** Further attempts of a step that failed. Default 2. */
  readonly stepRetries?: number;
  /** Longest wait for one answer of the peer or the arbiter. Default 5,000. */
  readonly requestDeadlineMs?: number;
}

/** What a `FailoverOrchestrator` is made of. */
export interface FailoverOptions {
  readonly node: string;
  readonly peer: string;
  /** From the configuration, such as `{ alpha: 'primary', beta: 'standby' }`. The pair record counts once there is one. */
  readonly homes: Readonly<Record<string, 'primary' | 'standby'>>;
  /** Every mirror of the pair, one or more. */
  readonly mirrors: readonly MirrorPort[];
  readonly monitor: MonitorPort;
  readonly platform: PlatformActions;
  readonly arbiter: Arbiter | null;
  readonly records: PairRecordStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly policy?: FailoverPolicy;
  /** What the health probes of this node found last, for its peer: `results()` of a `HealthWatch`. Must not throw. Default: there are none. */
  readonly health?: () => readonly ProbeReport[];
  /** Told what a listener of an event throws. Default: ignored. */
  readonly onListenerError?: (error: unknown) => void;
}

/** The policy with its defaults filled in. Throws `RangeError` for what makes no sense. */
export function completePolicy(policy: FailoverPolicy, hasArbiter: boolean): Required<FailoverPolicy> {
  const complete: Required<FailoverPolicy> = {
    control: policy.control ?? 'auto',
    whenAlone: policy.whenAlone ?? (hasArbiter ? 'arbiter' : 'continue'),
    bootAlone: policy.bootAlone ?? 'wait',
    stepDeadlineMs: policy.stepDeadlineMs ?? 60_000,
    stepRetries: policy.stepRetries ?? 2,
    requestDeadlineMs: policy.requestDeadlineMs ?? 5_000,
  };
  if (complete.whenAlone === 'arbiter' && !hasArbiter) throw new RangeError('whenAlone: arbiter needs an arbiter');
  for (const name of ['stepDeadlineMs', 'requestDeadlineMs'] as const) {
    if (!(Number.isFinite(complete[name]) && complete[name] > 0)) throw new RangeError(`${name} must be more than 0`);
  }
  if (!Number.isInteger(complete.stepRetries) || complete.stepRetries < 0)
    throw new RangeError('stepRetries must be a whole number from 0');
  return complete;
}
