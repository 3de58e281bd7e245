import type { Epoch } from '../epoch.ts';
import type { EventBase } from '../events.ts';
import type { SerializedError } from '../errors.ts';
import type { HealthChanged } from '../health.ts';
import type { PlatformStep } from '../platform/platform-actions.ts';
import type { AloneAction } from './alone.ts';
import type { BootAction } from './boot.ts';
import type { Control, Mode, PairRecord } from './pair-record.ts';
import type { Block } from './takeover.ts';

/** A durable change of the pair record. */
export interface RecordWritten extends EventBase {
  /** What it was for. */
  readonly why: string;
  readonly record: PairRecord;
}

/** The service came up or went down on this node. */
export interface ServiceChanged extends EventBase {
  readonly epoch: Epoch;
}

/** A takeover was allowed, blocked or aborted. */
export interface TakeoverEvent extends EventBase {
  /** The epoch that it would have or has; null where it did not come so far. */
  readonly epoch: Epoch | null;
  /** Every rule that blocks. */
  readonly blockedBy: readonly Block[];
}

/** The mode of the pair is another one now, as this node knows it. */
export interface ModeChanged extends EventBase {
  readonly mode: Mode | null;
  readonly epoch: Epoch;
}

/** A step of the platform. */
export interface StepEvent extends EventBase {
  readonly step: PlatformStep;
  readonly sequence: 'start' | 'stop' | 'fence';
  /** From 1. */
  readonly attempt: number;
  readonly error?: SerializedError;
}

/** What a serving node that lost a data link is to do. */
export interface AloneDecided extends EventBase {
  readonly mirror: string;
  readonly action: AloneAction;
}

/** A hand-over came to its end on this node. */
export interface HandoverFinished extends EventBase {
  readonly epoch: Epoch;
  readonly outcome: 'given' | 'taken' | 'refused';
  /** How long nobody served, as far as this node could measure: the giver from the end of its service to the report that the taker serves. */
  readonly withoutOwnerMs: number | null;
}

/** Something durable or done at the peer failed and will be tried again. */
export interface FailoverFailed extends EventBase {
  readonly error: SerializedError;
}

/** Every event of a `FailoverOrchestrator`. */
export type FailoverEvents = {
  /** A durable change of the pair record. */
  'record:written': (event: RecordWritten) => void;
  /** A durable change failed: nothing that depends on it happens. */
  'record:failed': (event: FailoverFailed) => void;
  /** This node serves. */
  'service:started': (event: ServiceChanged) => void;
  /** This node serves no more. */
  'service:stopped': (event: ServiceChanged) => void;
  /** A takeover is committed. */
  'takeover:decided': (event: TakeoverEvent) => void;
  /** The rules that block changed. */
  'takeover:blocked': (event: TakeoverEvent) => void;
  /** A takeover ended before its commit. */
  'takeover:aborted': (event: TakeoverEvent) => void;
  /** The pair is in another mode, as this node knows it. */
  'mode:changed': (event: ModeChanged) => void;
  /** A step of the platform begins. */
  'step:started': (event: StepEvent) => void;
  /** A step of the platform is in effect. */
  'step:finished': (event: StepEvent) => void;
  /** For good: the sequence stopped there. */
  'step:failed': (event: StepEvent) => void;
  /** What rule alone says for a mirror that lost its data link. */
  'alone:decided': (event: AloneDecided) => void;
  /** A hand-over came to its end on this node. */
  'handover:finished': (event: HandoverFinished) => void;
  /** A recovery waits for its regeneration. */
  'recover:progressed': (
    event: EventBase & { readonly doneBytes: number; readonly totalBytes: number; readonly remainingMs: number | null },
  ) => void;
  /** Automatic takeover was switched on or off. */
  'control:changed': (event: EventBase & { readonly control: Control }) => void;
  /** The pair is in a higher epoch. */
  'epoch:raised': (event: EventBase & { readonly epoch: Epoch }) => void;
  /** What the boot table says. */
  'boot:decided': (event: EventBase & { readonly action: BootAction }) => void;
  /** Two owners in one epoch: neither serves. */
  'split:detected': (event: EventBase & { readonly own: Epoch; readonly other: Epoch }) => void;
  /** A health probe of the peer failed, or fails no longer, as its tokens say. */
  'peer-health:changed': (event: HealthChanged) => void;
  /** A mirror, the arbiter or the peer did not do what was asked of it; it is asked again where that makes sense. */
  'order:failed': (event: FailoverFailed) => void;
};

const names: Readonly<Record<keyof FailoverEvents, true>> = {
  'record:written': true,
  'record:failed': true,
  'service:started': true,
  'service:stopped': true,
  'takeover:decided': true,
  'takeover:blocked': true,
  'takeover:aborted': true,
  'mode:changed': true,
  'step:started': true,
  'step:finished': true,
  'step:failed': true,
  'alone:decided': true,
  'handover:finished': true,
  'recover:progressed': true,
  'control:changed': true,
  'epoch:raised': true,
  'boot:decided': true,
  'split:detected': true,
  'peer-health:changed': true,
  'order:failed': true,
};

/** All of them, for logs. */
export const failoverEventNames: readonly (keyof FailoverEvents)[] = Object.keys(names) as (keyof FailoverEvents)[];
