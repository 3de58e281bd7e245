import type { Done, WriteOptions, ZeroesOptions } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import type { Intake } from './intake.ts';
import { maxZeroesBytes } from './wire.ts';

/** Long writes go in pieces, so that the peer writes the first while the next is on its way. */
const writePieceBytes = 256 * 2 ** 10;

/** Carries out one piece of a request. */
type IssuePiece = (atBytes: number, lengthBytes: number, done: Done) => void;

/** Carries a request out in pieces that fit one message each; `done` gets the first error when all have ended. */
function splitRequest(lengthBytes: number, maxPieceBytes: number, done: Done, issue: IssuePiece): void {
  if (lengthBytes <= maxPieceBytes) {
    issue(0, lengthBytes, done);
    return;
  }
  let left = Math.ceil(lengthBytes / maxPieceBytes);
  let first: HotMirrorError | null = null;
  const partDone: Done = (error) => {
    first ??= error;
    left -= 1;
    if (left === 0) done(first);
  };
  for (let atBytes = 0; atBytes < lengthBytes; atBytes += maxPieceBytes) {
    issue(atBytes, Math.min(maxPieceBytes, lengthBytes - atBytes), partDone);
  }
}

/** Writes in pieces that fit one message each. */
export function splitWrite(intake: Intake, offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
  splitRequest(from.byteLength, writePieceBytes, done, (atBytes, lengthBytes, partDone) => {
    intake.write(offsetBytes + atBytes, from.subarray(atBytes, atBytes + lengthBytes), options, partDone);
  });
}

/** Writes zeroes in pieces that fit one message each. */
export function splitZeroes(intake: Intake, offsetBytes: number, lengthBytes: number, options: ZeroesOptions, done: Done): void {
  splitRequest(lengthBytes, maxZeroesBytes, done, (atBytes, pieceBytes, pieceDone) => {
    intake.writeZeroes(offsetBytes + atBytes, pieceBytes, options, pieceDone);
  });
}

/** Trims in pieces of the same length. */
export function splitTrim(intake: Intake, offsetBytes: number, lengthBytes: number, done: Done): void {
  splitRequest(lengthBytes, maxZeroesBytes, done, (atBytes, pieceBytes, pieceDone) => {
    intake.trim(offsetBytes + atBytes, pieceBytes, pieceDone);
  });
}
