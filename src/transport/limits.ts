/** Bounds of every connection of a transport. All of them end what breaks them; none of them is waited for without an end. */
export interface TransportLimits {
  /** Longest frame that is sent or accepted. Both nodes need the same. */
  readonly maxFrameBytes: number;
  /** With more than this pending, `send` returns false. */
  readonly highWaterBytes: number;
  /** With more than this pending, the connection ends with `HM_SEND_WINDOW`. */
  readonly pendingBytes: number;
  /** Longest time from the first packet to an authenticated connection. */
  readonly handshakeDeadlineMs: number;
  /** Longest time that `close` waits for what is pending. */
  readonly closeDeadlineMs: number;
  /** Connections that a listener lets authenticate at once; more are turned away. */
  readonly unauthenticatedConnections: number;
}

/** What holds where nothing else is configured. */
export const defaultTransportLimits: TransportLimits = Object.freeze({
  maxFrameBytes: 4 * 1024 * 1024,
  highWaterBytes: 4 * 1024 * 1024,
  pendingBytes: 64 * 1024 * 1024,
  handshakeDeadlineMs: 5_000,
  closeDeadlineMs: 2_000,
  unauthenticatedConnections: 64,
});

const longestFrameBytes = 2 ** 30;

/** Fills in the defaults. Throws `RangeError` for a bound that is none. */
export function transportLimits(limits: Partial<TransportLimits> = {}): TransportLimits {
  const complete = { ...defaultTransportLimits, ...limits };
  for (const [name, value] of Object.entries(complete)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`limits.${name} must be a whole number above 0, not ${String(value)}`);
  }
  if (complete.maxFrameBytes > longestFrameBytes) throw new RangeError(`limits.maxFrameBytes must be at most ${String(longestFrameBytes)}`);
  if (complete.pendingBytes < complete.maxFrameBytes) throw new RangeError('limits.pendingBytes must be at least limits.maxFrameBytes');
  return complete;
}
