import type { BlockDevice } from '../device/block-device.ts';
import { HotMirrorError } from '../errors.ts';

/** Why a request on this range cannot be carried out, or null. Whatever is no number is out of range. */
export function refuseRange(
  device: Pick<BlockDevice, 'sizeBytes' | 'blockSizeBytes'>,
  offsetBytes: number,
  lengthBytes: number,
): HotMirrorError | null {
  const { sizeBytes, blockSizeBytes } = device;
  const range = `${String(lengthBytes)} bytes at ${String(offsetBytes)}`;
  if (!(offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= sizeBytes)) {
    return new HotMirrorError('HM_OUT_OF_RANGE', `${range} reach beyond the mirror of ${String(sizeBytes)} bytes`);
  }
  if (offsetBytes % blockSizeBytes === 0 && lengthBytes % blockSizeBytes === 0) return null;
  return new HotMirrorError('HM_UNALIGNED', `${range} are not whole blocks of ${String(blockSizeBytes)} bytes`);
}
