import type { Done } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import { maxBodyBytes } from './wire.ts';

/** Carries a request out in pieces that fit one message each; `done` gets the first error when all have ended. */
export function splitRequest(lengthBytes: number, done: Done, issue: (atBytes: number, lengthBytes: number, done: Done) => void): void {
  if (lengthBytes <= maxBodyBytes) {
    issue(0, lengthBytes, done);
    return;
  }
  let left = Math.ceil(lengthBytes / maxBodyBytes);
  let first: HotMirrorError | null = null;
  const partDone: Done = (error) => {
    first ??= error;
    left -= 1;
    if (left === 0) done(first);
  };
  for (let atBytes = 0; atBytes < lengthBytes; atBytes += maxBodyBytes) {
    issue(atBytes, Math.min(maxBodyBytes, lengthBytes - atBytes), partDone);
  }
}
