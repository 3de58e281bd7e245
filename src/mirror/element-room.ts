import type { BlockDevice } from '../device/block-device.ts';
import type { ElementStore } from './element-store.ts';

/** Looks at the device again, which may have been enlarged, and makes room for its map. Rejects where the device or the metadata does; the element is as large as it was then. */
export async function measureElement(device: BlockDevice, store: ElementStore): Promise<void> {
  await device.refreshSize?.();
  await store.makeRoom(device.sizeBytes);
}

/** How large a mirror the element can hold: more than there is room for in the metadata is of no use. */
export function elementRoomBytes(device: BlockDevice, store: ElementStore): number {
  return Math.min(device.sizeBytes, store.roomBytes);
}
