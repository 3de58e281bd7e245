import type { HotMirrorError } from '../errors.ts';
import type { Diskless } from './diskless.ts';
import type { Request } from './request.ts';
import type { ServingOptions } from './serving-options.ts';
import type { StreamWork } from './stream-work.ts';

/** What a request that failed on this node's element may still need. */
interface LocalFailureParts extends Pick<ServingOptions, 'handlers' | 'store'> {
  readonly diskless: Diskless;
  /** What else the connection carries; null: there is none, be it that it ended by this failure. */
  readonly work: () => StreamWork | null;
}

/** A write or flush failed on this node's element: that has failed, but for a full disk, which leaves a difference to the peer (rule write.error). */
export function localFailed(request: Request, error: HotMirrorError, { handlers, store, diskless, work }: LocalFailureParts): void {
  request.error ??= error;
  const full = error.code === 'HM_NO_SPACE';
  if (!full) handlers.failed(error);
  if (diskless.active) return;
  // The elements may differ here although the peer is connected.
  for (const extent of store.dirty.markedRange(request.offsetBytes, request.lengthBytes)) work()?.touched(extent);
  if (full && request.kind !== 'flush' && work()?.copying === false) handlers.differing();
}
