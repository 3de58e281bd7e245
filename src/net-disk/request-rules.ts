import { commandFlags, commands, errors } from './protocol.ts';
import type { ReplyError } from './protocol.ts';
import type { NbdRequest } from './request-reader.ts';

/** What an export is, as far as a request is judged by it. */
export interface RequestGround {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readOnly: boolean;
  readonly trim: boolean;
  readonly structured: boolean;
  readonly allocation: boolean;
  /** The largest read or write. */
  readonly requestBytes: number;
}

/** Why a request is not carried out. */
export interface RequestRefusal {
  readonly error: ReplyError;
  readonly because: string;
}

const changing: ReadonlySet<number> = new Set([commands.write, commands.trim, commands.writeZeroes]);
const ranged: ReadonlySet<number> = new Set([...changing, commands.read, commands.cache, commands.blockStatus]);
const flagsOf: Readonly<Record<number, number>> = {
  [commands.read]: commandFlags.fua | commandFlags.df,
  [commands.write]: commandFlags.fua,
  [commands.flush]: commandFlags.fua,
  [commands.trim]: commandFlags.fua,
  [commands.cache]: commandFlags.fua,
  [commands.writeZeroes]: commandFlags.fua | commandFlags.noHole | commandFlags.fastZero,
  [commands.blockStatus]: commandFlags.fua | commandFlags.reqOne,
};

const refuse = (error: ReplyError, because: string): RequestRefusal => ({ error, because });

/** Judges a request, with the error that the protocol asks for; null: it may be carried out. */
export function judgeRequest(request: NbdRequest, ground: RequestGround): RequestRefusal | null {
  const { command, flags } = request;
  const known = flagsOf[command];
  if (known === undefined) return refuse(errors.EINVAL, 'this command is not known here');
  if ((flags & ~known) !== 0) return refuse(errors.EINVAL, 'a flag does not belong to this command');
  if (changing.has(command) && ground.readOnly) return refuse(errors.EPERM, 'this export is read-only');
  if (command === commands.trim && !ground.trim) return refuse(errors.EINVAL, 'this export cannot be trimmed');
  if (command === commands.blockStatus && !ground.allocation) return refuse(errors.EINVAL, 'no metadata context was chosen');
  if ((flags & commandFlags.df) !== 0 && !ground.structured) return refuse(errors.EINVAL, 'nothing is fragmented here');
  return ranged.has(command) ? judgeRange(request, ground) : null;
}

function judgeRange({ command, offsetBytes, lengthBytes }: NbdRequest, ground: RequestGround): RequestRefusal | null {
  const { sizeBytes, blockSizeBytes, requestBytes } = ground;
  const carries = command === commands.read || command === commands.write;
  if (lengthBytes === 0) return refuse(errors.EINVAL, 'a length of zero');
  if (carries && lengthBytes > requestBytes) return refuse(errors.EINVAL, `at most ${String(requestBytes)} bytes may travel at once`);
  if (offsetBytes + lengthBytes > sizeBytes) {
    const error = command === commands.write || command === commands.writeZeroes ? errors.ENOSPC : errors.EINVAL;
    return refuse(error, `the export has ${String(sizeBytes)} bytes`);
  }
  if (offsetBytes % blockSizeBytes !== 0 || lengthBytes % blockSizeBytes !== 0)
    return refuse(errors.EINVAL, `offset and length are not whole blocks of ${String(blockSizeBytes)} bytes`);
  return null;
}
