import type { MirrorLink } from '../../mirror/mirror-link.ts';
import type { OperatorOrder } from './steps.ts';

const mebibyte = 1_048_576;
const slowly = { minBytesPerSecond: mebibyte, maxBytesPerSecond: 2 * mebibyte, latencyTargetMs: 1 };

/** Orders that go to the mirrors themselves: what is copied, compared, how fast, and how large a mirror is. */
export const copyOrders: Readonly<Partial<Record<OperatorOrder, (mirror: MirrorLink) => unknown>>> = {
  regenerate: (mirror) => mirror.regenerate(),
  'regenerate-full': (mirror) => mirror.regenerate({ full: true }),
  verify: (mirror) => mirror.verify(),
  'verify-repair': (mirror) => mirror.verify({ repair: true }),
  'waive-findings': (mirror) => mirror.waiveFindings('an operator of the simulation'),
  grow: (mirror) => mirror.grow(),
  'set-sync': (mirror) => mirror.setProtocol('sync'),
  'pause-resync': (mirror) => mirror.pauseResync('an operator of the simulation'),
  'resume-resync': (mirror) => mirror.resumeResync(),
  'slow-resync': (mirror) => mirror.configureResync(slowly),
};
