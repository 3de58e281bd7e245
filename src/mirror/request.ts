import type { HotMirrorError } from '../errors.ts';
import type { RequestKind } from './counters.ts';
import type { DirtyMap } from './dirty-map.ts';
import type { AnsweredRequest } from './replies.ts';
import type { SourceSession } from './source.ts';
import type { StreamWork } from './stream-work.ts';

/** A request of the application that changes an element, or a flush, on its way to both elements. */
export interface Request extends AnsweredRequest {
  /** `zeroes` has a length and no bytes. */
  readonly kind: 'write' | 'zeroes' | 'flush';
  readonly offsetBytes: number;
  readonly bytes: Uint8Array;
  readonly fua: boolean;
  /** Zeroes that must keep their space. */
  readonly noHole: boolean;
  startedMs: number;
  /** Steps on this node's element that are not over. */
  local: number;
  /** Steps on the peer's element that are not over, or never will be while the peer is away. */
  remote: number;
  /** The number under which the target holds it as promised, on the connection there is now; 0: it does not, or no longer needs to. */
  sequence: number;
  /** This element alone holds it: it completes only under a generation of its own (rules write.degraded, lineage.mint). */
  single: boolean;
  error: HotMirrorError | null;
}

/** Whether any of these requests touches a range; a flush touches none. */
export function overlapsAny(requests: Iterable<Request>, offsetBytes: number, lengthBytes: number): boolean {
  for (const request of requests)
    if (request.offsetBytes < offsetBytes + lengthBytes && offsetBytes < request.offsetBytes + request.lengthBytes) return true;
  return false;
}

/** The elements may differ where a request failed, although the peer is connected. */
export function markDiffering({ offsetBytes, lengthBytes }: Request, dirty: DirtyMap, work: StreamWork | null): void {
  dirty.markRange(offsetBytes, lengthBytes);
  if (lengthBytes === 0) return;
  const last = Math.floor((offsetBytes + lengthBytes - 1) / dirty.extentBytes);
  for (let extent = Math.floor(offsetBytes / dirty.extentBytes); extent <= last; extent += 1) work?.touched(extent);
}

const noBytes = new Uint8Array(0);

/** What is known of a request when it comes in; what is absent is nothing. */
type NewRequest = Pick<Request, 'done'> &
  Partial<Pick<Request, 'offsetBytes' | 'lengthBytes' | 'bytes' | 'fua' | 'noHole'>> & {
    /** As what it is counted, where that is not its kind. */
    readonly counts?: RequestKind;
  };

/** A request that has just come in. */
export function newRequest(kind: Request['kind'], asked: NewRequest): Request {
  const { done, counts = kind, offsetBytes = 0, bytes = noBytes, lengthBytes = bytes.byteLength, fua = false, noHole = false } = asked;
  return {
    ...{ kind, counts, offsetBytes, lengthBytes, bytes, fua, noHole, done },
    ...{ startedMs: 0, local: 0, remote: 0, sequence: 0, single: false, error: null },
  };
}

/** What was only on its way is lost with its connection: by async too it completes no more without the peer (rule serve.fresh). */
export function lackAgain(requests: Iterable<Request>, session: SourceSession): void {
  for (const request of requests) {
    const { kind, remote, single, sequence } = request;
    if (kind !== 'flush' && remote === 0 && !single && !session.hasReceived(sequence)) request.remote = 1;
    request.sequence = 0;
  }
}
