import type { BlockDevice } from '../../../src/device/block-device.ts';
import { MirrorPair } from './mirror-pair.ts';
import type { MirrorPairOptions, NodeName } from './mirror-pair.ts';
import { WornDisk } from './worn-disk.ts';

const blockBytes = 4_096;

/** A pair, and the disks of both elements, which can fail. */
export interface Worn {
  readonly pair: MirrorPair;
  readonly disks: Record<NodeName, WornDisk>;
}

/** One that has started, whose elements are the same. */
export async function wornPair(options: MirrorPairOptions = {}): Promise<Worn> {
  const disks = { alpha: new WornDisk(blockBytes), beta: new WornDisk(blockBytes) };
  const wrap = (device: BlockDevice, what: string): BlockDevice => {
    const [node, disk] = what.split(':');
    return disk === 'disk' ? disks[node as NodeName].wrap(device) : device;
  };
  return { pair: await new MirrorPair({ ...options, wrap }).start(), disks };
}
