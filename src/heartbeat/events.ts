import type { ErrorCode } from '../errors.ts';
import type { EventBase } from '../events.ts';
import type { LinkState, PeerAnswer, PeerState } from './types.ts';

/** A monitor link changed its state (rule `watch.all`: one silent link is a link failure, nothing else). */
export interface LinkChanged extends EventBase {
  readonly link: string;
  readonly from: LinkState;
  readonly to: LinkState;
}

/** The peer changed its state; `rule` and `evidence` are those of the verdict. */
export interface PeerChanged extends EventBase {
  readonly from: PeerState;
  readonly to: PeerState;
}

/** The peer answered a token (rules `watch.token`, `serve.lease`). */
export interface PeerAnswered extends EventBase, PeerAnswer {}

/** The monitor itself stood still; a fresh deadline runs (rule `watch.pause`). */
export interface MonitorOverslept extends EventBase {
  /** How long it stood still beyond its plan, or how far the wall clock jumped. */
  readonly lateMs: number;
}

/** Something that arrived was refused or ignored (rule `trust`). At most one of these a link and interval; the count tells the rest. */
export interface FrameRejected extends EventBase {
  readonly link: string;
  readonly code: ErrorCode;
  /** All that this link refused or ignored since the start. */
  readonly count: number;
}

/** Events of a {@link HeartbeatMonitor}. */
export type HeartbeatEvents = {
  /** A monitor link changed its state. */
  'link:changed': (event: LinkChanged) => void;
  /** The peer changed its state. */
  'peer:changed': (event: PeerChanged) => void;
  /** The peer answered a token. */
  'peer:answered': (event: PeerAnswered) => void;
  /** The monitor itself stood still. */
  'monitor:overslept': (event: MonitorOverslept) => void;
  /** Something that arrived was refused or ignored. */
  'frame:rejected': (event: FrameRejected) => void;
};

const names: Readonly<Record<keyof HeartbeatEvents, true>> = {
  'link:changed': true,
  'peer:changed': true,
  'peer:answered': true,
  'monitor:overslept': true,
  'frame:rejected': true,
};

/** All of them, for logs. */
export const heartbeatEventNames: readonly (keyof HeartbeatEvents)[] = Object.keys(names) as (keyof HeartbeatEvents)[];
