import createDebug from 'debug';

import type { BlockDevice } from '../device/block-device.ts';
import { HotMirrorError } from '../errors.ts';
import { regionBytes } from './activity-log.ts';
import type { ElementStore } from './element-store.ts';
import { failedBy } from './metadata.ts';

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

/**
 * As {@link flushElement}. Where it fails the element has failed: whatever a later flush says, what the device had cached may be lost (rule write.error).
 * Rejects with the device's error when `failed` has resolved.
 */
export async function flushOrFail(device: BlockDevice, failed: (error: HotMirrorError) => Promise<void>): Promise<void> {
  try {
    await flushElement(device);
  } catch (error) {
    await failed(HotMirrorError.from(error, 'HM_IO_FLUSH', 'the element could not be flushed'));
    throw error;
  }
}

/** At the start: after a crash whatever the activity log names may differ (rules write.intent, lineage.union). */
export async function recoverElement(device: BlockDevice, store: ElementStore): Promise<void> {
  const { metadata } = store;
  for (const region of metadata.activeRegions) store.markAfterCrash(region * regionBytes, regionBytes);
  // Log and map are written to one copy at a time: the copy that cannot be read may have known of more.
  if (store.mayBeOlder) store.dirty.markAll();
  if (!metadata.inUse && metadata.activeRegions.length === 0 && !store.mayBeOlder) return;
  // What a killed process left in a cache must not be lost later, when it has been relied upon.
  await flushOrFail(device, (error) => store.update(() => failedBy(error)));
  await store.persistDirty();
  await store.update(() => ({ activeRegions: [], crashed: metadata.crashed || metadata.inUse, inUse: false }));
}

/**
 * At the end: where the element and its map are durable, the next start need not take this for a crash. One that failed is recorded so, and where even that
 * fails the next start is after a crash: what it holds is not what the peer holds.
 */
export async function settleElement(device: BlockDevice, store: ElementStore, failed: boolean): Promise<void> {
  try {
    if (failed) {
      await store.certain();
      return;
    }
    await flushElement(device);
    await store.persistDirty();
    if (store.metadata.inUse) await store.update(() => ({ inUse: false, activeRegions: [] }));
  } catch (error) {
    debug('closing without a clean mark: %O', error);
  }
}
