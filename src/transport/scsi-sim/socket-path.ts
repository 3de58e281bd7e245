import { HotMirrorError } from '../../errors.ts';

/** Room of `sun_path`, without its final zero byte. */
const longestSocketPathBytes = 107;

/** Throws `HM_ADDRESS` where a unix socket cannot have this path. */
export function assertSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes >= 1 && bytes <= longestSocketPathBytes) return;
  throw new HotMirrorError(
    'HM_ADDRESS',
    `${path} has ${String(bytes)} bytes; the path of a unix socket holds 1 to ${String(longestSocketPathBytes)}`,
  );
}
