import type { BlockDevice } from '../../../src/device/block-device.ts';
import { readElementImage } from '../../../src/mirror/element-store.ts';
import { GatedDevice } from './gated-device.ts';
import { MirrorPair } from './mirror-pair.ts';
import type { MirrorPairOptions, NodeName } from './mirror-pair.ts';
import { WornDisk } from './worn-disk.ts';

type DeviceName = `${NodeName}:${'disk' | 'metadata'}`;

/** A pair whose disks and metadata devices can stand still (a gate) or fail (worn) one by one; a request that fails does so at once, whatever its gate. */
export class FaultyPair extends MirrorPair {
  readonly gates: Record<DeviceName, GatedDevice>;
  readonly worn: Record<DeviceName, WornDisk>;

  constructor(options: MirrorPairOptions = {}) {
    const gates = {} as Record<DeviceName, GatedDevice>;
    const worn = Object.fromEntries(
      ['alpha:disk', 'alpha:metadata', 'beta:disk', 'beta:metadata'].map((what) => [what, new WornDisk(4_096)]),
    ) as Record<DeviceName, WornDisk>;
    const wrap = (device: BlockDevice, what: string): BlockDevice => {
      const gate = (gates[what as DeviceName] = new GatedDevice(device));
      return { ...worn[what as DeviceName].wrap(gate), refreshSize: () => gate.opened() };
    };
    super({ delayMs: 5, ...options, wrap });
    this.gates = gates;
    this.worn = worn;
  }

  /** What the next start of a node would take its element for. */
  stored(node: NodeName): { readonly state: string; readonly current: string | null; readonly dirty: number } {
    const image = readElementImage(this.metadata[node].contents, this.metadata[node].blockSizeBytes);
    if (!image) throw new Error(`${node} has no metadata`);
    return { state: image.metadata.state, current: image.metadata.current, dirty: image.dirty.count };
  }

  /** The link breaks until both nodes have noticed. */
  async breakLink(): Promise<void> {
    this.link.cut();
    const lost = (node: NodeName): boolean => this.mirror(node).state().connection !== 'connected';
    await this.until(() => lost('alpha') && lost('beta'), 'the loss');
  }
}
