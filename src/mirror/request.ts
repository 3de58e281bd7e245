import type { Done } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';

/** A request of the application that changes an element, or a flush, on its way to both elements. */
export interface Request {
  /** `zeroes` has a length and no bytes. */
  readonly kind: 'write' | 'zeroes' | 'flush';
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly bytes: Uint8Array;
  readonly fua: boolean;
  /** Zeroes that must keep their space. */
  readonly noHole: boolean;
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

const noBytes = new Uint8Array(0);

/** What is known of a request when it comes in; what is absent is nothing. */
type NewRequest = Pick<Request, 'done'> & Partial<Pick<Request, 'offsetBytes' | 'lengthBytes' | 'bytes' | 'fua' | 'noHole'>>;

/** A request that has just come in. */
export function newRequest(kind: Request['kind'], asked: NewRequest): Request {
  const { done, offsetBytes = 0, bytes = noBytes, lengthBytes = bytes.byteLength, fua = false, noHole = false } = asked;
  return { kind, offsetBytes, lengthBytes, bytes, fua, noHole, done, local: 0, remote: 0, single: false, error: null };
}
