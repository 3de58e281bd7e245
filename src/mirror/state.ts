import type { Epoch } from '../epoch.ts';

/** States of an element (semantics 1). */
export type ElementState = 'uptodate' | 'consistent' | 'outdated' | 'inconsistent' | 'failed' | 'off' | 'absent';

/** Which way this node replicates. */
export type MirrorRole = 'source' | 'target' | 'none';

/** What the data link is doing. */
export type LinkState = 'connecting' | 'connected' | 'standalone' | 'split-brain' | 'unrelated';

/** `parked`: requests wait, nothing completes; `alone`: requests complete without the peer. */
export type ServingState = 'no' | 'yes' | 'parked' | 'alone';

/** Progress of a resync. */
export interface ResyncProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Mean rate since the resync began. */
  readonly bytesPerSecond: number;
  /** At that rate; null while nothing is known. */
  readonly remainingMs: number | null;
}

/** What a mirror is now: plain, serialisable data. */
export interface MirrorState {
  readonly name: string;
  readonly sizeBytes: number;
  readonly role: MirrorRole;
  readonly connection: LinkState;
  readonly serving: ServingState;
  readonly element: ElementState;
  readonly peerElement: ElementState;
  /** The epoch in this element's metadata. */
  readonly epoch: Epoch;
  /** The current generation; empty for a blank element. */
  readonly currentId: string;
  /** The data link's connection now, or the last one; null before the first. */
  readonly connectionId: string | null;
  /** When the data link was lost, by this node's clock; null while it is connected, or was not since the start. */
  readonly lostAtMs: number | null;
  /** The peer durably recorded that its element is behind this one, so it cannot take over by itself. */
  readonly peerBehind: boolean;
  readonly dirtyBytes: number;
  readonly resync: ResyncProgress | null;
}
