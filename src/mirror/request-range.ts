import type { BlockDevice, Done } from '../device/block-device.ts';
import { HotMirrorError } from '../errors.ts';
import type { Serving } from './serving.ts';

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

/** A request of the application as it comes in. */
interface Incoming {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** It is more than its length says: a length of 0 is not nothing to do. */
  readonly anyLength: boolean;
  readonly done: Done;
}

/** The serving side that is to carry the request out; null: it has been answered. Absent, the mirror is closed. */
export function admitted(
  mirror: Pick<BlockDevice, 'sizeBytes' | 'blockSizeBytes'> & { readonly name: string },
  serving: Serving | null,
  { offsetBytes, lengthBytes, anyLength, done }: Incoming,
): Serving | null {
  const refusal = refuseRange(mirror, offsetBytes, lengthBytes);
  if (!serving) done(new HotMirrorError('HM_CLOSED', `${mirror.name} is closed`));
  else if (refusal) done(refusal);
  else if (serving.state === 'no') done(new HotMirrorError('HM_NOT_SERVING', `${mirror.name} is not served by this node`));
  else if (lengthBytes === 0 && !anyLength) done(null);
  else return serving;
  return null;
}
