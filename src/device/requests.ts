import { HotMirrorError } from '../errors.ts';
import type { AllocationPiece, BlockDevice } from './block-device.ts';

/** What the range of a request is checked against. */
export type DeviceGeometry = Pick<BlockDevice, 'sizeBytes' | 'blockSizeBytes'>;

/**
 * Whether a device may carry out a request on this range: null, or the refusal that the contract of `BlockDevice` asks for.
 * Whatever is no number (NaN) is out of range.
 */
export function refuseRange(geometry: DeviceGeometry, offsetBytes: number, lengthBytes: number): HotMirrorError | null {
  const { sizeBytes, blockSizeBytes } = geometry;
  const within = offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= sizeBytes;
  if (!within) {
    const range = `${String(lengthBytes)} bytes at ${String(offsetBytes)}`;
    return new HotMirrorError('HM_OUT_OF_RANGE', `${range} reach beyond the device of ${String(sizeBytes)} bytes`, {
      details: { offsetBytes, lengthBytes, sizeBytes },
    });
  }
  if (offsetBytes % blockSizeBytes !== 0 || lengthBytes % blockSizeBytes !== 0) {
    const range = `${String(lengthBytes)} bytes at ${String(offsetBytes)}`;
    return new HotMirrorError('HM_UNALIGNED', `${range} are not whole blocks of ${String(blockSizeBytes)} bytes`, {
      details: { offsetBytes, lengthBytes, blockSizeBytes },
    });
  }
  return null;
}

/** What `allocation` of a `BlockDevice` tells where nothing is known. */
export function allData(lengthBytes: number): readonly AllocationPiece[] {
  return lengthBytes > 0 ? [{ lengthBytes, hole: false }] : [];
}

/** The refusal of every request after `close`. */
export function closedError(what: string): HotMirrorError {
  return new HotMirrorError('HM_CLOSED', `${what} is closed`);
}

/** Throws `RangeError` unless the size is a power of two, as a block size must be. */
export function assertBlockSize(blockSizeBytes: number): void {
  const powerOfTwo = Number.isInteger(Math.log2(blockSizeBytes));
  if (!powerOfTwo || blockSizeBytes < 1) throw new RangeError(`blockSizeBytes must be a power of two, not ${String(blockSizeBytes)}`);
}
