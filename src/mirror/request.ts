import type { Done } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';

/** A write or flush of the application on its way to both elements. */
export interface Request {
  readonly kind: 'write' | 'flush';
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly bytes: Uint8Array;
  readonly fua: boolean;
  readonly done: Done;
  /** Steps on this node's element that are not over. */
  local: number;
  /** Steps on the peer's element that are not over, or never will be while the peer is away. */
  remote: number;
  /** This element alone holds it: it completes only under a generation of its own (rules write.degraded, lineage.mint). */
  single: boolean;
  error: HotMirrorError | null;
}

/** Whether a request touches a range; a flush touches none. */
export function overlaps(request: Request, offsetBytes: number, lengthBytes: number): boolean {
  return request.offsetBytes < offsetBytes + lengthBytes && offsetBytes < request.offsetBytes + request.lengthBytes;
}
