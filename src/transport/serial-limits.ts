import { transportLimits } from './limits.ts';
import type { TransportLimits } from './limits.ts';
import { lineMs } from './serial-pace.ts';

/** A frame keeps the line busy for no longer than that, unless it is of the least length. */
const longestFrameMs = 2_000;
const leastFrameBytes = 4 * 1_024;
/** The longest message of a monitor link fits in. */
const longestFrameBytes = 68 * 1_024;
const pendingFrames = 16;
const unauthenticatedConnections = 4;
/** All bytes of a handshake, with their packets, both ways one after the other. */
export const handshakeBytes = 1_400;
const leastHandshakeMs = 5_000;
const handshakeSlack = 4;
const leastCloseMs = 2_000;
const closeSlack = 2;

/** Bounds that suit the rate of a line, where nothing else is configured. Throws `RangeError` for a bound that is none. */
export function serialLimits(baudRate: number, limits: Partial<TransportLimits> = {}): TransportLimits {
  const fits = Math.floor(longestFrameMs / lineMs(1, baudRate));
  const maxFrameBytes = limits.maxFrameBytes ?? Math.min(longestFrameBytes, Math.max(leastFrameBytes, fits));
  return transportLimits({
    maxFrameBytes,
    highWaterBytes: maxFrameBytes,
    pendingBytes: pendingFrames * maxFrameBytes,
    handshakeDeadlineMs: Math.max(leastHandshakeMs, Math.ceil(handshakeSlack * lineMs(handshakeBytes, baudRate))),
    closeDeadlineMs: Math.max(leastCloseMs, Math.ceil(closeSlack * lineMs(leastFrameBytes, baudRate))),
    unauthenticatedConnections,
    ...limits,
  });
}
