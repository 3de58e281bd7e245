import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

const codeOfErrno: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'HM_DEVICE_NOT_FOUND',
  ENOTDIR: 'HM_DEVICE_NOT_FOUND',
  ENXIO: 'HM_DEVICE_NOT_FOUND',
  ENODEV: 'HM_DEVICE_NOT_FOUND',
  EBUSY: 'HM_DEVICE_IN_USE',
  ENOSPC: 'HM_NO_SPACE',
  EDQUOT: 'HM_NO_SPACE',
};

const noSpace: readonly (string | undefined)[] = ['ENOSPC', 'EDQUOT'];

/** The `E…` name of an operating system's error, if it is one. */
export function errnoOf(cause: unknown): string | undefined {
  const code = typeof cause === 'object' && cause !== null ? (cause as { readonly code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Why a file or device could not be opened. What no row names is a matter of access: EACCES, EPERM, EROFS, EISDIR, ELOOP, ETXTBSY. */
export function openError(cause: unknown, path: string): HotMirrorError {
  return HotMirrorError.from(cause, codeOfErrno[errnoOf(cause) ?? ''] ?? 'HM_DEVICE_ACCESS', `cannot open ${path}`);
}

/** Why a request failed. A full file system is told apart for writes only: a flush that fails has lost data, whatever the reason. */
export function ioError(cause: unknown, code: 'HM_IO_READ' | 'HM_IO_WRITE' | 'HM_IO_FLUSH', path: string): HotMirrorError {
  const full = code === 'HM_IO_WRITE' && noSpace.includes(errnoOf(cause));
  return HotMirrorError.from(cause, full ? 'HM_NO_SPACE' : code, path);
}

const cannotPunch: readonly (string | undefined)[] = ['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL'];

/** Why a hole could not be punched. */
export function punchError(cause: unknown, path: string): HotMirrorError {
  if (cannotPunch.includes(errnoOf(cause))) return HotMirrorError.from(cause, 'HM_NOT_SUPPORTED', `no holes can be punched into ${path}`);
  return ioError(cause, 'HM_IO_WRITE', path);
}

/** A read gave nothing inside the device: somebody truncated the file. */
export function readStopped(path: string, atBytes: number): HotMirrorError {
  return new HotMirrorError('HM_IO_READ', `${path} ends at or before byte ${String(atBytes)}: it was truncated while it was open`, {
    details: { atBytes },
  });
}

/** A write moved nothing and gave no reason. */
export function writeStopped(path: string, atBytes: number): HotMirrorError {
  return new HotMirrorError('HM_IO_WRITE', `${path} takes no bytes at ${String(atBytes)}`, { details: { atBytes } });
}
