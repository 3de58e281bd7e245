import type { Epoch } from '../epoch.ts';
import type { ElementState, ResyncProgress, SplitEvidence } from '../vocabulary.ts';
import type { MirrorProtocol } from './options.ts';

export type { ElementState, ResyncProgress, SplitEvidence } from '../vocabulary.ts';

/** Which way this node replicates. */
export type MirrorRole = 'source' | 'target' | 'none';

/** What the data link is doing. */
export type DataLinkState = 'connecting' | 'connected' | 'standalone' | 'split-brain' | 'unrelated';

/** `parked`: requests wait, nothing completes; `alone`: requests complete without the peer. */
export type ServingState = 'no' | 'yes' | 'parked' | 'alone';

/** What a mirror is now: plain, serialisable data. */
export interface MirrorState {
  readonly name: string;
  readonly sizeBytes: number;
  readonly role: MirrorRole;
  readonly connection: DataLinkState;
  readonly serving: ServingState;
  readonly element: ElementState;
  readonly peerElement: ElementState;
  /** The highest epoch in this element's metadata, or heard of on its data link. */
  readonly epoch: Epoch;
  /** The epoch of the same number and another owner that the data link showed (rule boot.conflict); null: none. */
  readonly rival: Epoch | null;
  /** The current generation; empty for a blank element. */
  readonly currentId: string;
  /** The data link's connection now, or the last one; null before the first. */
  readonly connectionId: string | null;
  /** There is a connection, and both sides are agreeing on it who copies what. */
  readonly handshaking: boolean;
  /** When the data link was lost, by this node's clock; null while it is connected, or was not since the start. */
  readonly lostAtMs: number | null;
  /** It is `inconsistent`, and an undo journal holds what it was before. */
  readonly canRollBack: boolean;
  /** Why nothing is copied until an operator names the survivor, at the last handshake; null where there is no such reason. */
  readonly split: SplitEvidence | null;
  /** The peer durably recorded that its element is behind this one, so it cannot take over by itself. */
  readonly peerBehind: boolean;
  /** By which requests complete: by what this node itself would complete them, or, while it is a target, its source does. */
  readonly protocol: MirrorProtocol;
  /**
   * What of the acknowledged a takeover by this node may lose, in bytes, where nothing but the peer fails (rule write.both); null while it serves, and while
   * its element is not `uptodate`.
   */
  readonly mayLoseBytes: number | null;
  readonly dirtyBytes: number;
  readonly resync: ResyncProgress | null;
  /** Why resyncs of this mirror stand still (`pauseResync`); null: they do not. */
  readonly resyncPaused: string | null;
  /** Bytes that a verify found different and that were neither repaired nor waived (rule takeover.verified). */
  readonly findingBytes: number;
}
