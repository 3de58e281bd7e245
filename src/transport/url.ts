import { BlockList, isIP, isIPv4 } from 'node:net';

import { HotMirrorError } from '../errors.ts';

/** A TCP address. */
export interface TcpAddress {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Where a node listens, and the address that its peer dials; the same unless something translates between them. */
export interface LinkAddress {
  readonly listen: string;
  readonly advertise: string;
}

const maxPort = 65_535;
const mappedIPv4Prefix = '::ffff:';
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Reads `tcp://host:port` or `tcp://[ipv6]:port`. Throws `HM_ADDRESS` that names what is wrong. Port 0 means any free one, for listening. */
export function parseTcpUrl(text: string): TcpAddress {
  const example = '; write tcp://host:port or tcp://[ipv6]:port';
  const bad = (what: string): HotMirrorError => new HotMirrorError('HM_ADDRESS', `${JSON.stringify(text)}: ${what}${example}`);
  const match = /^([a-z][a-z0-9+.-]*):\/\/(?:\[([^\]]*)\]|([^:/?#@[\]]*))(?::([^/?#]*))?(.*)$/i.exec(text);
  if (!match) throw bad('not a URL');
  const [, scheme = '', bracketed, plain = '', port, rest] = match;
  if (scheme.toLowerCase() !== 'tcp') throw bad(`the scheme is ${scheme}`);
  if (bracketed !== undefined && isIP(bracketed) !== 6) throw bad(`[${bracketed}] is no IPv6 address`);
  const host = bracketed ?? plain;
  if (host === '') throw bad('the host is missing');
  if (/[\s%]/.test(host)) throw bad(`${host} is no host`);
  if (port === undefined || port === '') throw bad('the port is missing');
  if (!/^\d{1,5}$/.test(port) || Number(port) > maxPort) throw bad(`${port} is no port`);
  if (rest !== '') throw bad(`${String(rest)} does not belong there`);
  return { host, port: Number(port) };
}

/** Writes what {@link parseTcpUrl} reads. */
export function formatTcpUrl({ host, port }: TcpAddress): string {
  return `tcp://${isIP(host) === 6 ? `[${host}]` : host}:${String(port)}`;
}

/** Reads a link's value in the configuration: a URL, or one to listen at and one for the peer to dial. Throws `HM_ADDRESS`. */
export function parseLinkAddress(value: string | LinkAddress): LinkAddress {
  const address = typeof value === 'string' ? { listen: value, advertise: value } : value;
  parseTcpUrl(address.listen);
  if (parseTcpUrl(address.advertise).port === 0)
    throw new HotMirrorError('HM_ADDRESS', `${address.advertise}: port 0 cannot be dialled; name the port`);
  return address;
}

/** Whether an IP address reaches this machine only. Names do not count, except `localhost`. */
export function isLoopback(address: string): boolean {
  const plain = address.toLowerCase().startsWith(mappedIPv4Prefix) ? address.slice(mappedIPv4Prefix.length) : address;
  if (plain === 'localhost') return true;
  return isIP(plain) !== 0 && loopback.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6');
}
