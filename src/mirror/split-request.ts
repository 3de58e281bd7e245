import type { Done, WriteOptions } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import type { Serving } from './serving.ts';
import { maxBodyBytes } from './wire.ts';

/** What `writeZeroes` writes, for requests of any length. Never written to. */
const zeroes = new Uint8Array(maxBodyBytes);

/** Carries a request out in pieces that fit one message each; `done` gets the first error when all have ended. */
function splitRequest(lengthBytes: number, done: Done, issue: (atBytes: number, lengthBytes: number, done: Done) => void): void {
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

/** Writes in pieces that fit one message each. */
export function splitWrite(serving: Serving, offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
  splitRequest(from.byteLength, done, (atBytes, lengthBytes, partDone) => {
    serving.write(offsetBytes + atBytes, from.subarray(atBytes, atBytes + lengthBytes), options, partDone);
  });
}

/** Writes zeroes in pieces that fit one message each, all from one buffer. */
export function splitZeroes(serving: Serving, offsetBytes: number, lengthBytes: number, options: WriteOptions, done: Done): void {
  splitRequest(lengthBytes, done, (atBytes, partBytes, partDone) => {
    serving.write(offsetBytes + atBytes, zeroes.subarray(0, partBytes), options, partDone);
  });
}
