import type { MirrorLink } from '../../mirror/mirror-link.ts';
import type { CompleteMirror } from './complete-options.ts';
import type { OperatorOrder } from './steps.ts';

const mebibyte = 1_048_576;
const slowly = { minBytesPerSecond: mebibyte, maxBytesPerSecond: 2 * mebibyte, latencyTargetMs: 1 };

/** An order that goes to the mirrors themselves: what is copied, compared, how fast, how large a mirror is, and by which protocol it completes. */
export type CopyOrder = Extract<
  OperatorOrder,
  `regenerate${string}` | `verify${string}` | `${string}-resync` | `set-${string}` | 'waive-findings' | 'grow'
>;

/** What each of them does to one mirror. */
export const copyOrders: Readonly<Record<CopyOrder, (mirror: MirrorLink, options: CompleteMirror) => unknown>> = {
  regenerate: (mirror) => mirror.regenerate(),
  'regenerate-full': (mirror) => mirror.regenerate({ full: true }),
  verify: (mirror) => mirror.verify(),
  'verify-repair': (mirror) => mirror.verify({ repair: true }),
  'waive-findings': (mirror) => mirror.waiveFindings('an operator of the simulation'),
  grow: (mirror) => mirror.grow(),
  'set-sync': (mirror) => mirror.setProtocol('sync'),
  'set-configured': (mirror, { protocol }) => mirror.setProtocol(protocol),
  'pause-resync': (mirror) => mirror.pauseResync('an operator of the simulation'),
  'resume-resync': (mirror) => mirror.resumeResync(),
  'slow-resync': (mirror) => mirror.configureResync(slowly),
};
