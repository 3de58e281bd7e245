import type { ErrorCode, HotMirrorError } from '../errors.ts';
import { errors } from './protocol.ts';
import type { ReplyError } from './protocol.ts';

const byCode: Readonly<Partial<Record<ErrorCode, ReplyError>>> = {
  HM_OUT_OF_RANGE: errors.EINVAL,
  HM_UNALIGNED: errors.EINVAL,
  HM_NO_SPACE: errors.ENOSPC,
  HM_NOT_SUPPORTED: errors.EINVAL,
  HM_BUSY: errors.ENOMEM,
  HM_CLOSED: errors.ESHUTDOWN,
  HM_NOT_SERVING: errors.ESHUTDOWN,
  HM_STALE_EPOCH: errors.ESHUTDOWN,
};

/** How the protocol says what a device said; `EIO` where it has no word of its own. */
export function replyErrorOf(error: HotMirrorError | null): ReplyError {
  return error ? (byCode[error.code] ?? errors.EIO) : errors.none;
}
