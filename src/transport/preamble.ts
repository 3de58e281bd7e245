import { HotMirrorError } from '../errors.ts';

const magic = Buffer.from('hotmirror\n', 'latin1');
const oldestVersion = 1;
const newestVersion = 1;

/** What either end sends first: the magic, then the oldest and the newest protocol version that it speaks. */
export const preamble: Readonly<Uint8Array> = Uint8Array.from([...magic, oldestVersion, newestVersion]);

/** Length of every preamble, of any version. */
export const preambleBytes: number = preamble.length;

/**
 * Reads the other end's preamble, or the beginning of one. Gives the newest version that both speak, or null while more bytes are needed.
 * Throws `HM_BAD_MAGIC` at the first wrong byte, `HM_VERSION` where the two have none in common.
 */
export function agreeVersion(theirs: Uint8Array): number | null {
  const seen = Math.min(theirs.length, magic.length);
  if (magic.compare(theirs, 0, seen, 0, seen) !== 0)
    throw new HotMirrorError('HM_BAD_MAGIC', 'what connected does not speak the protocol of hotmirror');
  if (theirs.length < preambleBytes) return null;
  const [oldest = 0, newest = 0] = theirs.subarray(magic.length);
  const version = Math.min(newest, newestVersion);
  if (version < Math.max(oldest, oldestVersion)) {
    const [here, there] = [`${String(oldestVersion)} to ${String(newestVersion)}`, `${String(oldest)} to ${String(newest)}`];
    throw new HotMirrorError('HM_VERSION', `this node speaks protocol versions ${here}, the other ${there}`);
  }
  return version;
}
