import type { HotMirrorError } from '../errors.ts';

/** What travels in the stream to the target besides the application's requests, as the serving side sees it. */
export interface StreamWork {
  /** Whether a write to the range must wait, because what is there is being read for the stream. */
  locks(offsetBytes: number, lengthBytes: number): boolean;
  /** An extent was marked dirty: what is on its way does not clear it. */
  touched(extent: number): void;
  /** A request found the queue full (rule write.congested). */
  congested(): void;
  /** What is marked dirty from now on is still copied on this connection. */
  readonly copying: boolean;
  /** This node's element has failed: nothing is read from it any more, and what compares ends with this error. */
  detach(error: HotMirrorError): void;
  /** Goes on as far as windows and rate allow. */
  pump(): void;
}
