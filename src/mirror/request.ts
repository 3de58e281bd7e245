import type { HotMirrorError } from '../errors.ts';
import type { RequestKind } from './counters.ts';
import type { Read } from './reads.ts';
import type { AnsweredRequest } from './replies.ts';
import type { SourceSession } from './source.ts';

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
  /** Its place among all requests and reads of the application, in the order in which they came. */
  arrival: number;
  /** Reads that wait for it. */
  holdsUp: WaitingRead[] | null;
  /** Steps on this node's element that are not over. */
  local: number;
  /** Steps on the peer's element that are not over, or never will be while the peer is away. */
  remote: number;
  /** The number under which the target holds it as promised, on the connection there is now; 0: it does not, or no longer needs to. */
  sequence: number;
  /** This element alone holds it: it completes only under a generation of its own (rules write.degraded, lineage.mint). */
  single: boolean;
  /** Its regions count on it in the activity log. */
  logged: boolean;
  error: HotMirrorError | null;
}

/** A read that waits for requests which are not complete. */
export interface WaitingRead {
  readonly read: Read;
  /** Requests that it waits for. */
  requests: number;
}

/** Whether a request touches a range; a flush touches none. */
export function overlaps(request: Pick<Request, 'offsetBytes' | 'lengthBytes'>, offsetBytes: number, lengthBytes: number): boolean {
  return request.offsetBytes < offsetBytes + lengthBytes && offsetBytes < request.offsetBytes + request.lengthBytes;
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
  // One literal, for every request comes by here: objects that are spread cost more than the rest of its way.
  return {
    kind,
    counts,
    offsetBytes,
    lengthBytes,
    bytes,
    fua,
    noHole,
    done,
    startedMs: 0,
    arrival: 0,
    holdsUp: null,
    local: 0,
    remote: 0,
    sequence: 0,
    single: false,
    logged: false,
    error: null,
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

/** The requests in a range that a read which came at `arrival` must not overtake: all that are on their way to the elements, and those before it that are yet to go. */
export function requestsBefore(
  { issued, queued }: { readonly issued: Iterable<Request>; readonly queued: readonly Request[] },
  arrival: number,
  offsetBytes: number,
  lengthBytes: number,
): readonly Request[] {
  const found: Request[] = [];
  for (const request of issued) if (overlaps(request, offsetBytes, lengthBytes)) found.push(request);
  for (const request of queued) {
    if (request.arrival > arrival) break;
    if (overlaps(request, offsetBytes, lengthBytes)) found.push(request);
  }
  return found;
}

/** From the beginning of a range: how much of it none of these requests touches, or else how much of it the touched part has. */
export function untouchedRun(
  requests: readonly Iterable<Request>[],
  offsetBytes: number,
  lengthBytes: number,
): { readonly lengthBytes: number; readonly touched: boolean } {
  let [untouchedBytes, touchedBytes] = [lengthBytes, 0];
  for (const some of requests)
    for (const request of some) {
      if (!overlaps(request, offsetBytes, lengthBytes)) continue;
      const before = request.offsetBytes - offsetBytes;
      untouchedBytes = Math.min(untouchedBytes, Math.max(0, before));
      if (before <= 0) touchedBytes = Math.max(touchedBytes, before + request.lengthBytes);
    }
  return untouchedBytes > 0
    ? { lengthBytes: untouchedBytes, touched: false }
    : { lengthBytes: Math.min(lengthBytes, touchedBytes), touched: true };
}

/** How a request goes to the peer. */
interface Sending {
  /** It is not over before it is durable there. */
  readonly durable: boolean;
  /** Whether what the connection tells of it still counts. */
  readonly counts: () => boolean;
  /** A step is over. */
  readonly advance: () => void;
}

/** Sends a request to the peer and follows its steps there. */
export function sendRequest(request: Request, session: SourceSession, { durable, counts, advance }: Sending): void {
  const step = (): void => {
    if (!counts() || request.remote === 0) return;
    request.remote -= 1;
    advance();
  };
  const held = (sequence: number): void => {
    if (counts()) request.sequence = sequence;
    step();
  };
  const flushes = request.kind === 'flush' || durable;
  // All of them first: by async a write is held before its call returns.
  request.remote = (request.kind === 'flush' ? 0 : 1) + (flushes ? 1 : 0);
  if (request.kind === 'write') session.write(request.offsetBytes, request.bytes, held);
  if (request.kind === 'zeroes') session.zeroes(request, held);
  if (flushes) session.flush(step);
}
