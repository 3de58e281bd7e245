import { systemClock } from '../clock/system-clock.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { DirectDevice } from '../device/direct.ts';
import { FileDevice } from '../device/file.ts';
import { HotMirrorError } from '../errors.ts';
import { NetDiskDevice } from '../net-disk/net-disk-device.ts';
import type { NetDiskServerNews } from '../net-disk/net-disk-device.ts';
import type { ElementConfig, PairConfig } from './config.ts';
import { isNetDiskUri } from './link-address.ts';
import type { ElementServer } from './server-news.ts';

/**
 * Opens an element as configured: a file or a block device, through the page cache or past it, or the export of an NBD server; `onServer` hears what becomes of that server. Rejects as these do.
 */
export function openElement({ device, direct }: ElementConfig, onServer?: (news: ElementServer) => void): Promise<BlockDevice> {
  if (isNetDiskUri(device)) {
    const tell = ({ state, because }: NetDiskServerNews): void =>
      onServer?.({ uri: device, state, because: because?.message ?? null, code: because?.code ?? null });
    return NetDiskDevice.open(device, { clock: systemClock, onServer: tell });
  }
  return direct ? DirectDevice.open(device) : FileDevice.open(device, { clock: systemClock });
}

/** The element that a node has of a mirror. Throws `HM_CONFIG` where it has none. */
export function elementOf(config: PairConfig, mirror: string, node: string): ElementConfig {
  const element = config.mirrors.find(({ name }) => name === mirror)?.elements[node];
  if (!element) throw new HotMirrorError('HM_CONFIG', `mirrors: ${node} has no element of ${mirror}`);
  return element;
}
