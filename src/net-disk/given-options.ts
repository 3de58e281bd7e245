import { types } from 'node:util';

import type { Clock } from '../clock/clock.ts';
import { largestPort } from './net-disk-address.ts';
import type { NetDiskServerOptions } from './net-disk-server.ts';
import type { NetDiskCredentials, NetDiskTls } from './net-disk-tls.ts';

/** Throws `TypeError` for what is no clock: without one nothing here ever times out, and it shows only at the first client, or the first silence. */
export function assertClock(clock: Clock | undefined): asserts clock is Clock {
  if (typeof clock?.timer !== 'function' || typeof clock.nowMs !== 'function')
    throw new TypeError('clock must be a Clock, such as systemClock of hotmirror');
}

/** Throws `TypeError` for options of a server that have another type than the declared one, which JavaScript lets through, and `RangeError` for a port or a mode that there is not. */
export function assertServerOptions(options: NetDiskServerOptions): void {
  const { listen, clock, tls } = asRecord(options) as Partial<NetDiskServerOptions>;
  const place = asRecord(listen);
  if (typeof place['path'] !== 'string' && !(typeof place['host'] === 'string' && typeof place['port'] === 'number'))
    throw new TypeError('listen must be { path } or { host, port }');
  const { port = 0 } = place;
  if (!Number.isInteger(port) || Number(port) < 0 || Number(port) > largestPort)
    throw new RangeError(`listen.port must be a whole number from 0, any free one, to ${String(largestPort)}`);
  assertClock(clock);
  if (tls) assertTls(tls);
}

function assertTls({ mode, credentials }: NetDiskTls): void {
  if (!['optional', 'required'].includes(mode)) throw new RangeError('tls.mode must be "optional" or "required"');
  const given = asRecord(credentials);
  if ('psk' in given) assertKeys(given['psk']);
  else assertCertificates(given);
}

/** Never says what a key is. */
function assertKeys(psk: unknown): void {
  if (!types.isMap(psk)) throw new TypeError('tls.credentials.psk must be a Map of keys by the names of clients');
  for (const [name, key] of psk)
    if (typeof name !== 'string' || !types.isUint8Array(key))
      throw new TypeError('tls.credentials.psk must have a string, the name of a client, for each Uint8Array, its key');
}

function assertCertificates(given: Readonly<Partial<Record<keyof Extract<NetDiskCredentials, { key: string }>, unknown>>>): void {
  for (const part of ['key', 'certificate', 'ca'] as const)
    if (typeof given[part] !== 'string' && !(part === 'ca' && given[part] === undefined))
      throw new TypeError(`tls.credentials.${part} must be a string of PEM`);
}

/** What is there of what should be an object. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
