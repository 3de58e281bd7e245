import { SerialLine } from './serial-line.ts';
import { openSystemPort } from './serial-port.ts';
import { LineTransport } from './serial-transport.ts';
import type { SerialTransport, SerialTransportOptions } from './serial-transport.ts';
import { parseSerialUrl } from './serial-url.ts';

export type { TransportLimits } from './limits.ts';
export type { SerialCounters } from './serial-line.ts';
export type { OpenPort, OpenSerialPort } from './serial-port.ts';
export type { SerialTransport, SerialTransportOptions } from './serial-transport.ts';
export type { SerialAddress } from './serial-url.ts';

/**
 * Makes the transport of a serial line. Both nodes open their own end; several connections share the line, and the end that opens one dials. What the line damages or loses is sent again, so that a
 * connection outlives a cable that was pulled, for as long as its user waits. The device is open while somebody listens, dials or has a connection, and is opened again when it comes back.
 *
 * `limits.maxFrameBytes` is by default what the line carries in two seconds, at least 4 KiB and at most 68 KiB, so that one frame does not keep tokens waiting beyond their deadline.
 * Throws `HM_ADDRESS` for a bad URL and `RangeError` for a bad key or limit. `dial` and `listen` reject with `HM_PACKAGE_MISSING` where `serialport` is not installed, and with `HM_NOT_SUPPORTED` where it is used outside of the main thread; `listen` with `HM_ADDRESS` where
 * the device cannot be opened.
 */
export function serialTransport(options: SerialTransportOptions): SerialTransport {
  const address = parseSerialUrl(options.device);
  const { clock, random, openPort = openSystemPort } = options;
  return new LineTransport(new SerialLine({ address, openPort, clock, random }), options);
}
