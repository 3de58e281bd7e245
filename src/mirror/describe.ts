import type { ElementStore } from './element-store.ts';
import type { Replication } from './replication.ts';
import type { Serving } from './serving.ts';
import type { MirrorState } from './state.ts';

/** What a mirror is now, as plain data, from the parts that know it. */
export function describeMirror(
  name: string,
  sizeBytes: number,
  parts: { readonly store: ElementStore; readonly serving: Serving; readonly replication: Replication },
): MirrorState {
  const { store, serving, replication } = parts;
  const { metadata, dirty } = store;
  return {
    name,
    sizeBytes,
    role: replication.role,
    connection: replication.connection,
    serving: serving.state,
    element: replication.element,
    peerElement: replication.peerElement,
    epoch: metadata.epoch,
    currentId: metadata.current ?? '',
    connectionId: replication.connectionId,
    lostAtMs: replication.lostAtMs,
    peerBehind: replication.peerBehind,
    dirtyBytes: Math.min(dirty.count * metadata.extentBytes, sizeBytes),
    resync: replication.resync?.progress ?? null,
  };
}
