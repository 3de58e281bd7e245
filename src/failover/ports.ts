import type { Epoch } from '../epoch.ts';
import type { Rule } from '../rules.ts';

/** States of an element (semantics 1). */
export type ElementState = 'uptodate' | 'consistent' | 'outdated' | 'inconsistent' | 'failed' | 'off' | 'absent';

/** What the orchestrator sees of a mirror; plain data, so that it may come from another thread. */
export interface MirrorView {
  readonly name: string;
  readonly sizeBytes: number;
  readonly role: 'source' | 'target' | 'none';
  readonly connection: 'connecting' | 'connected' | 'standalone' | 'split-brain' | 'unrelated';
  /** `parked`: requests wait; `alone`: requests complete without the peer. */
  readonly serving: 'no' | 'yes' | 'parked' | 'alone';
  readonly element: ElementState;
  readonly peerElement: ElementState;
  /** The epoch in this element's metadata. */
  readonly epoch: Epoch;
  /** The current generation of this element. */
  readonly currentId: string;
  /** The data link connection now, or the last one. */
  readonly connectionId: string | null;
  /** When the data link was lost, by this node's clock; null while it is connected or was never. */
  readonly lostAtMs: number | null;
  /** The peer durably recorded that its element is outdated or inconsistent, relative to this one, so it cannot take over by itself. */
  readonly peerBehind: boolean;
  readonly dirtyBytes: number;
  readonly resync: ResyncProgress | null;
  /** Bytes that a verify found different and that were neither repaired nor waived (rule `takeover.verified`). Absent: none. */
  readonly findingBytes?: number;
}

/** Progress of a resync. */
export interface ResyncProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly remainingMs: number | null;
}

/** Tells a passive element that it is old (rule `outdate`); the ids must match what the element knows. */
export interface OutdateOrder {
  readonly epoch: Epoch;
  readonly currentId: string;
  readonly connectionId: string | null;
  readonly nonce: string;
}

/**
 * A mirror as the orchestrator drives it. `MirrorLink` fits as it is; so does a proxy to a mirror in another thread.
 * Every method may take time and reject with `HotMirrorError`; orders carry all that they depend on.
 */
export interface MirrorPort {
  readonly name: string;
  /** What is known now; may lag behind by a message. */
  state(): MirrorView;
  /** Calls back after each change; returns how to stop that. */
  onChange(listener: () => void): () => void;
  /** Makes the epoch durable in the element, then serves. `force` serves an element that is not `uptodate`. */
  promote(order: { readonly epoch: Epoch; readonly alone: boolean; readonly force?: boolean }): Promise<void>;
  /** Ends serving in order. `handedOver`: the peer's element durably holds everything, in the same generation. */
  demote(): Promise<{ readonly handedOver: boolean }>;
  /** Target: stops receiving, applies what it confirmed (rule `takeover.seal`). Resolves with the state to be judged. */
  seal(): Promise<MirrorView>;
  /** Undoes `seal`: reconnects by handshake. */
  unseal(): Promise<void>;
  /**
   * Serving and parked: completes without the peer from now on, in this epoch. `connectionId` is the connection whose loss was judged:
   * the order is void (`HM_REFUSED`) when there has been a newer one since.
   */
  goAlone(order: { readonly epoch: Epoch; readonly rule: Rule; readonly connectionId: string | null }): Promise<void>;
  outdate(order: OutdateOrder): Promise<void>;
  /** Passive: an `uptodate` element becomes `consistent` (rule `element.start`). */
  doubt(because: string): Promise<void>;
  /** The pair's epoch is now this. A higher one of another owner ends serving at once; requests inside fail. */
  raiseEpoch(epoch: Epoch): Promise<void>;
  /** Fresh evidence of ownership from the monitor (rule `serve.lease`), by this machine's monotonic clock. */
  renewLease(evidence: { readonly probeSentMs: number }): void;
  /** Says goodbye on the data link (rule `node.leave`). */
  leave(): Promise<void>;
}

/** Plain data that can be sent as JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What the monitor thinks of the peer. */
export type PeerState = 'unknown' | 'up' | 'suspect' | 'down' | 'left';

/** Whether every link stayed silent for a full deadline of fresh probes (rule `alone`). */
export interface SilenceEvidence {
  readonly silent: boolean;
  /** From when the silence is counted: the latest of what was asked, the last late wake-up, and the start. */
  readonly countedFromMs: number;
  readonly lastHeardMs: number | null;
  readonly deadlineMs: number;
  /** When it could become true if nothing is heard. */
  readonly earliestMs: number;
}

/** One answer of the peer to a token. */
export interface PeerAnswer {
  /** When the answered token was sent, by this node's clock. */
  readonly probeSentMs: number;
  readonly heardMs: number;
  readonly link: string;
  /** What the peer's `report` returned when it answered. */
  readonly report: Json;
}

/** The monitor as the orchestrator uses it. `HeartbeatMonitor` fits as it is. */
export interface MonitorPort {
  peerState(): PeerState;
  /** Whether it passes verdicts at all now: `grace` at the start, `paused` by wish. */
  watchState(): 'grace' | 'normal' | 'paused';
  /** The verdict's rule and evidence, for the record. */
  verdict(): { readonly rule: Rule; readonly because: string; readonly evidence: Readonly<Record<string, unknown>> };
  freshSilence(sinceMs: number): SilenceEvidence;
  /** Any monitor link up? */
  reachable(): boolean;
  /** Asks the peer. Rejects with `HM_PEER_UNREACHABLE`, `HM_REQUEST_TIMEOUT` or the peer's own refusal. */
  request(body: Json, options: { readonly deadlineMs: number; readonly signal?: AbortSignal }): Promise<Json>;
  /** Peer or link states changed, or the monitor overslept: look again. */
  onChange(listener: () => void): () => void;
  onAnswer(listener: (answer: PeerAnswer) => void): () => void;
  /** The monitor woke up late by this much (rule `watch.pause`). */
  onOverslept(listener: (lateMs: number) => void): () => void;
  pause(because: string): void;
  resume(because: string): void;
}
