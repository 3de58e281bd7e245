import type { Epoch } from '../epoch.ts';
import type { Rule } from '../rules.ts';
import type {
  ElementState,
  Json,
  OutdateOrder,
  ParkedOn,
  PeerAnswer,
  PeerState,
  ResolveOrder,
  ResyncProgress,
  SilenceEvidence,
  SplitEvidence,
  WatchState,
} from '../vocabulary.ts';

export type {
  ElementState,
  Json,
  OutdateOrder,
  ParkedOn,
  PeerAnswer,
  PeerState,
  ResolveOrder,
  ResyncProgress,
  SilenceEvidence,
  SplitEvidence,
  WatchState,
} from '../vocabulary.ts';

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
  /** The highest epoch in this element's metadata, or heard of on its data link. */
  readonly epoch: Epoch;
  /** The epoch of the same number and another owner that its data link showed (rule `boot.conflict`); null or absent: none. */
  readonly rival?: Epoch | null;
  /** The current generation of this element. */
  readonly currentId: string;
  /** The data link connection now, or the last one. */
  readonly connectionId: string | null;
  /** There is a connection, and both sides are agreeing on it who copies what. */
  readonly handshaking: boolean;
  /** When the data link was lost, by this node's clock; null while it is connected or was never. */
  readonly lostAtMs: number | null;
  /** It is `inconsistent`, and an undo journal holds what it was before (rule `resync.undo`). */
  readonly canRollBack: boolean;
  /** Why nothing is copied until an operator names the survivor; null where there is no such reason. */
  readonly split: SplitEvidence | null;
  /** The peer durably recorded that its element is outdated or inconsistent, relative to this one, so it cannot take over by itself. */
  readonly peerBehind: boolean;
  /** By which requests complete, where this node is the source, or its source does (rule `write.both`). Absent: nobody knows. */
  readonly protocol?: 'sync' | 'memsync' | 'async';
  /** What of the acknowledged a takeover by this node may lose, where only the peer fails (rule `write.both`); null or absent: nobody knows. */
  readonly mayLoseBytes?: number | null;
  readonly dirtyBytes: number;
  readonly resync: ResyncProgress | null;
  /** Bytes that a verify found different and that were neither repaired nor waived (rule `takeover.verified`). Absent: none. */
  readonly findingBytes?: number;
  /** Why resyncs of it stand still; null or absent: they do not. */
  readonly resyncPaused?: string | null;
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
  /**
   * Makes the epoch durable in the element, then serves. `force` serves an element that is not `uptodate`, and rolls one back that is `inconsistent` and can be, unless
   * `rollBack` is false.
   */
  promote(order: { readonly epoch: Epoch; readonly alone: boolean; readonly force?: boolean; readonly rollBack?: boolean }): Promise<void>;
  /** Ends serving in order. `handedOver`: the peer's element durably holds everything, in the same generation. */
  demote(): Promise<{ readonly handedOver: boolean }>;
  /**
   * Target: stops receiving, applies what it confirmed (rule `takeover.seal`). Resolves with the state to be judged. With `parked`, serving: the peer becomes whole
   * on no connection until `unseal`; `HM_REFUSED` when there has been a newer one than the one whose loss was judged.
   */
  seal(parked?: ParkedOn | null): Promise<MirrorView>;
  /** Undoes `seal`: reconnects by handshake. */
  unseal(): Promise<void>;
  /**
   * Serving and parked: completes without the peer from now on, in this epoch. `connectionId` is the connection whose loss was judged:
   * the order is void (`HM_REFUSED`) when there has been a newer one since.
   */
  goAlone(order: { readonly epoch: Epoch; readonly rule: Rule; readonly connectionId: string | null }): Promise<void>;
  /** The passive element durably records that it is old (rule `outdate`). Rejects with `HM_REFUSED` where the order does not fit it. */
  outdate(order: OutdateOrder): Promise<void>;
  /** An operator's word on a split brain (rule `lineage.resolve`). Rejects with `HM_REFUSED` where it does not fit this element. */
  resolve(order: ResolveOrder): Promise<void>;
  /** The target of an unfinished resync becomes what it was before it, `outdated` (rule `resync.undo`). Rejects with `HM_REFUSED` where it cannot. */
  rollBack(): Promise<void>;
  /**
   * Passive: an `uptodate` element becomes `consistent`, unless the data link proves it wrong: it is connected, and the peer answers on it a probe that is
   * sent from now on. Resolves once either is so (rule `element.start`).
   */
  doubt(because: string): Promise<void>;
  /** The pair's epoch is now this. A higher one of another owner ends serving at once; requests inside fail. */
  raiseEpoch(epoch: Epoch): Promise<void>;
  /** Fresh evidence of ownership from the monitor (rule `serve.lease`), by this machine's monotonic clock. */
  renewLease(evidence: { readonly probeSentMs: number }): void;
  /** Takes this node's element out, durably, or brings it back (rule `element.off`). Rejects with `HM_REFUSED` where it is served. */
  setElement(wish: 'off' | 'on'): Promise<void>;
  /** Says goodbye on the data link (rule `node.leave`). */
  leave(): Promise<void>;
}

/** The monitor as the orchestrator uses it. `HeartbeatMonitor` fits as it is. */
export interface MonitorPort {
  /** What it thinks of the peer now. */
  peerState(): PeerState;
  /** Whether it passes verdicts at all now: `grace` at the start, `paused` by wish. */
  watchState(): WatchState;
  /** The verdict's rule and evidence, for the record. */
  verdict(): { readonly rule: Rule; readonly because: string; readonly evidence: Readonly<Record<string, unknown>> };
  /** Evidence for rule `alone`, counted from then at the earliest. */
  freshSilence(sinceMs: number): SilenceEvidence;
  /** Any monitor link up? */
  reachable(): boolean;
  /** Asks the peer. Rejects with `HM_PEER_UNREACHABLE`, `HM_REQUEST_TIMEOUT` or the peer's own refusal. */
  request(body: Json, options: { readonly deadlineMs: number; readonly signal?: AbortSignal }): Promise<Json>;
  /** Peer or link states changed, or the monitor overslept: look again. */
  onChange(listener: () => void): () => void;
  /** Calls back with each answer of the peer; returns how to stop that. */
  onAnswer(listener: (answer: PeerAnswer) => void): () => void;
  /** The monitor woke up late by this much (rule `watch.pause`). */
  onOverslept(listener: (lateMs: number) => void): () => void;
  /** No verdict until `resume` with the same words. */
  pause(because: string): void;
  /** Takes one pause back. */
  resume(because: string): void;
}
