import { HotMirrorError } from '../errors.ts';

/** One end of a serial line. */
export interface SerialAddress {
  /** Such as `/dev/ttyS0`, or `COM3`. */
  readonly path: string;
  /** Bits a second; both ends need the same. */
  readonly baudRate: number;
  /** The wires RTS and CTS say who may send; both ends need the same. */
  readonly rtscts: boolean;
}

/** Slower than this, no handshake ends within a deadline that anybody would want. */
const slowestBaudRate = 1_200;
const fastestBaudRate = 4_000_000;

/**
 * Reads `serial:/dev/ttyS0?baudRate=115200`, with `&rtscts=true` where RTS and CTS are wired. Other lengths of a character than 8 bits, and parity, are no options:
 * packets carry a checksum of their own. Throws `HM_ADDRESS` that names what is wrong.
 */
export function parseSerialUrl(text: string): SerialAddress {
  const bad = (what: string): HotMirrorError =>
    new HotMirrorError('HM_ADDRESS', `${JSON.stringify(text)}: ${what}; write serial:/dev/ttyS0?baudRate=115200`);
  const match = /^([a-z][a-z0-9+.-]*):([^?#]*)(?:\?([^#]*))?(#.*)?$/i.exec(text);
  if (!match) throw bad('not a URL');
  const [, scheme = '', path = '', query = '', fragment] = match;
  if (scheme.toLowerCase() !== 'serial') throw bad(`the scheme is ${scheme}`);
  if (path === '' || path.startsWith('//')) throw bad('the device is missing');
  if (fragment !== undefined) throw bad(`${fragment} does not belong there`);
  const options = new URLSearchParams(query);
  for (const name of options.keys()) {
    if (name !== 'baudRate' && name !== 'rtscts') throw bad(`${name} is no option of a serial line`);
    if (options.getAll(name).length > 1) throw bad(`${name} is said twice`);
  }
  const baudRate = options.get('baudRate');
  if (baudRate === null) throw bad('baudRate is missing');
  if (!/^\d{1,7}$/.test(baudRate) || Number(baudRate) < slowestBaudRate || Number(baudRate) > fastestBaudRate)
    throw bad(`baudRate must be a number from ${String(slowestBaudRate)} to ${String(fastestBaudRate)}`);
  const rtscts = options.get('rtscts') ?? 'false';
  if (rtscts !== 'true' && rtscts !== 'false') throw bad('rtscts must be true or false');
  return { path: decoded(path, bad), baudRate: Number(baudRate), rtscts: rtscts === 'true' };
}

/** Writes what {@link parseSerialUrl} reads. */
export function formatSerialUrl({ path, baudRate, rtscts }: SerialAddress): string {
  const escaped = path.replaceAll(/[%?#]/g, (character) => encodeURIComponent(character));
  return `serial:${escaped}?baudRate=${String(baudRate)}${rtscts ? '&rtscts=true' : ''}`;
}

function decoded(path: string, bad: (what: string) => HotMirrorError): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw bad(`${path} cannot be read`);
  }
}
