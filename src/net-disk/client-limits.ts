import { assertKnown } from './limits.ts';

/** Bounds of a `NetDiskDevice`; each has a default. */
export interface NetDiskDeviceLimits {
  /** Connection and handshake together. Default 5,000. */
  readonly connectDeadlineMs: number;
  /** A server that owes an answer and says nothing for that long counts as lost. Default 30,000. */
  readonly silenceMs: number;
  /** A server that completes no request for that long after it was lost fails every request, for good. Default 30,000. */
  readonly reconnectMs: number;
  /** Writes under way, and those completed that are kept because no flush covers them yet, in bytes; more wait. At half of it a flush is asked for. One write may be larger. Default 64 MiB. */
  readonly unflushedBytes: number;
}

const defaults: NetDiskDeviceLimits = {
  connectDeadlineMs: 5_000,
  silenceMs: 30_000,
  reconnectMs: 30_000,
  unflushedBytes: 64 * 2 ** 20,
};

/** All limits, with defaults for those not given. Throws `RangeError` for one that there is not or that cannot be. */
export function netDiskDeviceLimits(given: Partial<NetDiskDeviceLimits>): NetDiskDeviceLimits {
  assertKnown(given, defaults);
  const limits = { ...defaults, ...given };
  for (const [name, value] of Object.entries(limits))
    if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`limits.${name} must be a whole number above 0`);
  return limits;
}

/** How long nothing may come before the system probes: later than all that is decided here, so that it ends no connection whose server is still waited for. */
export function keepAliveMs({ silenceMs, reconnectMs }: NetDiskDeviceLimits): number {
  return silenceMs + reconnectMs;
}
