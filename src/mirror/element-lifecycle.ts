import createDebug from 'debug';

import type { BlockDevice } from '../device/block-device.ts';
import { regionBytes } from './activity-log.ts';
import type { ElementStore } from './element-store.ts';

const debug = createDebug('hotmirror:mirror');

/** Makes the element durable. */
export function flushElement(device: BlockDevice): Promise<void> {
  return new Promise((resolve, reject) => {
    device.flush((error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

/** At the start: after a crash whatever the activity log names may differ (rules write.intent, lineage.union). */
export async function recoverElement(device: BlockDevice, store: ElementStore): Promise<void> {
  const { metadata } = store;
  for (const region of metadata.activeRegions) store.dirty.markRange(region * regionBytes, regionBytes);
  if (!metadata.inUse && metadata.activeRegions.length === 0) return;
  // What a killed process left in a cache must not be lost later, when it has been relied upon.
  await flushElement(device);
  await store.persistDirty();
  await store.update(() => ({ activeRegions: [], crashed: metadata.crashed || metadata.inUse, inUse: false }));
}

/** At the end: where the element and its map are durable, the next start need not take this for a crash. */
export async function settleElement(device: BlockDevice, store: ElementStore): Promise<void> {
  try {
    await flushElement(device);
    await store.persistDirty();
    if (store.metadata.inUse) await store.update(() => ({ inUse: false, activeRegions: [] }));
  } catch (error) {
    debug('closing without a clean mark: %O', error);
  }
}
