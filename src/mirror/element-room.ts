import createDebug from 'debug';

import type { BlockDevice } from '../device/block-device.ts';
import type { ElementStore } from './element-store.ts';

const debug = createDebug('hotmirror:mirror');

/** Looks at the device again, which may have been enlarged, and makes room for its map. What cannot be enlarged stays as large as it was. */
export async function measureElement(device: BlockDevice, store: ElementStore): Promise<void> {
  try {
    await device.refreshSize?.();
    await store.makeRoom(device.sizeBytes);
  } catch (error) {
    debug('the element is as large as before: %O', error);
  }
}

/** How large a mirror the element can hold: more than there is room for in the metadata is of no use. */
export function elementRoomBytes(device: BlockDevice, store: ElementStore): number {
  return Math.min(device.sizeBytes, store.roomBytes);
}
