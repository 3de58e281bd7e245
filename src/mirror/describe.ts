import { highestEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import type { ElementStore } from './element-store.ts';
import type { KnownEpoch } from './known-epoch.ts';
import type { Lease } from './lease.ts';
import type { ElementMetadata } from './metadata.ts';
import type { Preservation } from './preservation.ts';
import type { ProtocolInForce } from './protocol.ts';
import type { Replication } from './replication.ts';
import type { Findings } from './findings.ts';
import type { ResyncControl } from './resync-control.ts';
import type { Serving } from './serving.ts';
import type { MirrorState } from './state.ts';

/** The parts that know what a mirror is. */
interface DescribedParts {
  readonly store: ElementStore;
  readonly serving: Serving;
  readonly replication: Replication;
  readonly preservation: Preservation;
  readonly control: ResyncControl;
  readonly protocol: ProtocolInForce;
  readonly findings: Findings;
}

/** What a mirror is now, as plain data, from the parts that know it. */
export function describeMirror(name: string, sizeBytes: number, known: KnownEpoch, parts: DescribedParts): MirrorState {
  const { store, serving, replication, preservation, control, findings } = parts;
  const { protocol, mayLoseBytes } = replication.sourceProtocol;
  const mayTakeOver = serving.state === 'no' && replication.element === 'uptodate';
  const { metadata, dirty } = store;
  const rival = known.rivalOf(metadata.epoch);
  return {
    name,
    sizeBytes,
    role: replication.role,
    // Of elements that have nothing in common neither is a copy of the other, whoever owns what.
    connection: rival && replication.connection !== 'unrelated' ? 'split-brain' : replication.connection,
    serving: serving.state,
    element: replication.element,
    peerElement: replication.peerElement,
    epoch: highestEpoch([metadata.epoch, known.epoch]),
    rival,
    currentId: metadata.current ?? '',
    connectionId: replication.connectionId,
    handshaking: replication.linked && !replication.connected,
    lostAtMs: replication.lostAtMs,
    canRollBack: preservation.canRollBack,
    split: replication.split,
    peerBehind: replication.peerBehind,
    protocol: replication.role === 'target' ? protocol : parts.protocol.current,
    mayLoseBytes: mayTakeOver ? mayLoseBytes : null,
    dirtyBytes: Math.min(dirty.count * metadata.extentBytes, sizeBytes),
    resync: replication.source?.resync?.progress ?? null,
    resyncPaused: control.paused,
    findingBytes: findings.bytes,
  };
}

/** All that a later step of a mirror depends on. */
export interface MirrorSnapshot {
  readonly state: MirrorState;
  readonly metadata: ElementMetadata;
  readonly knownEpoch: Epoch;
  /** Requests that have no answer yet. */
  readonly inside: number;
  /** Extents that may differ from the peer's, as runs. */
  readonly dirty: readonly { readonly first: number; readonly count: number }[];
  /** When the evidence of ownership ends unless renewed (rule serve.lease). */
  readonly leaseUntilMs: number;
}

/** Makes the snapshot of a mirror. */
export function snapshotMirror(
  state: MirrorState,
  knownEpoch: Epoch,
  parts: { readonly store: ElementStore; readonly serving: Serving; readonly lease: Lease },
): MirrorSnapshot {
  const { store, serving, lease } = parts;
  return {
    ...{ state, metadata: store.metadata, knownEpoch, inside: serving.inside },
    ...{ dirty: [...store.dirty.runs()], leaseUntilMs: lease.untilMs },
  };
}
