import createDebug from 'debug';

import type { BlockDevice } from '../device/block-device.ts';
import type { ElementStore } from './element-store.ts';

const debug = createDebug('hotmirror:mirror');

/**
 * Looks at the device again, which may have been enlarged, and makes room for its map; where that cannot be made, only so much of the device counts as there is room for.
 * Rejects where the device does not tell its size.
 */
export async function measureElement(device: BlockDevice, store: ElementStore): Promise<void> {
  await device.refreshSize?.();
  await store.makeRoom(device.sizeBytes).catch((error: unknown) => debug('there is no room for a larger map: %O', error));
}

/** How large a mirror the element can hold: more than there is room for in the metadata is of no use. */
export function elementRoomBytes(device: BlockDevice, store: ElementStore): number {
  return Math.min(device.sizeBytes, store.roomBytes);
}
