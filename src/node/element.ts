import { systemClock } from '../clock/system-clock.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { FileDevice } from '../device/file.ts';
import { NetDiskDevice } from '../net-disk/net-disk-device.ts';
import { isNetDiskUri } from './link-address.ts';

/** Opens an element as configured: a file, a block device, or the export of an NBD server. Rejects as these do. */
export function openElement(device: string): Promise<BlockDevice> {
  return isNetDiskUri(device) ? NetDiskDevice.open(device, { clock: systemClock }) : FileDevice.open(device);
}
