/** Bounds of a net disk server; each has a default. */
export interface NetDiskLimits {
  /** Connections that use an export at once; one more is closed at once. */
  readonly connections: number;
  /** Connections, beside those, that do not use an export yet; one more takes the place of the oldest of them. */
  readonly newcomers: number;
  /** How long a client may haggle before it uses an export, TLS included. */
  readonly handshakeDeadlineMs: number;
  /** A connection on which nothing was asked for that long, and nothing is under way, is closed; 0: never. */
  readonly idleDeadlineMs: number;
  /** How long a connection that is to end may take over its answers. */
  readonly closeDeadlineMs: number;
  /** The largest read or write; offered to clients as their maximum. */
  readonly requestBytes: number;
  /**
   * What writes and reads of one connection may hold in memory, and zeroes may be under way, in bytes; more is not read from its socket. At least two requests. Memory is shared out in chunks of 1 MiB: one of
   * which a byte is still needed counts as a whole once the connection goes on in another, and up to eight come on top of the window.
   */
  readonly windowBytes: number;
  /** Requests of one connection that are under way; more are not read from its socket. */
  readonly requests: number;
  /** Options that a client may ask for before it uses an export. */
  readonly options: number;
}

const kibibyte = 2 ** 10;
const mebibyte = 2 ** 20;

const defaults: NetDiskLimits = {
  connections: 64,
  newcomers: 64,
  handshakeDeadlineMs: 10_000,
  idleDeadlineMs: 0,
  closeDeadlineMs: 5_000,
  requestBytes: 32 * mebibyte,
  windowBytes: 64 * mebibyte,
  requests: 1024,
  options: 256,
};

/** The least request that every client may count on. */
const leastRequestBytes = 64 * kibibyte;
const mostRequestBytes = 2 ** 30;

/** All limits, with defaults for those not given. Throws `RangeError` for one that there is not or that cannot be. */
export function netDiskLimits(given: Partial<NetDiskLimits> = {}): NetDiskLimits {
  assertKnown(given, defaults);
  const limits = { ...defaults, ...given };
  for (const [name, value] of Object.entries(limits))
    if (!Number.isSafeInteger(value) || value < (name === 'idleDeadlineMs' ? 0 : 1))
      throw new RangeError(`limits.${name} must be a whole number above 0`);
  const { requestBytes } = limits;
  if (requestBytes < leastRequestBytes || requestBytes > mostRequestBytes || requestBytes % leastRequestBytes !== 0)
    throw new RangeError(`limits.requestBytes must be a multiple of ${String(leastRequestBytes)}, at most ${String(mostRequestBytes)}`);
  if (limits.windowBytes < 2 * limits.requestBytes)
    throw new RangeError('limits.windowBytes must hold two requests of limits.requestBytes');
  return limits;
}

/** Throws `RangeError` for a limit that there is not: one whose name is misspelt would bound nothing. */
export function assertKnown(given: object, known: object): void {
  for (const name of Object.keys(given)) if (!Object.hasOwn(known, name)) throw new RangeError(`there is no limits.${name}`);
}
