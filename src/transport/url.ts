import { HotMirrorError } from '../errors.ts';

/** A TCP address. */
export interface TcpAddress {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const maxPort = 65_535;

/** Reads `tcp://host:port` or `tcp://[ipv6]:port`. Throws `HM_ADDRESS` that names what is wrong. Port 0 means any free one, for listening. */
export function parseTcpUrl(text: string): TcpAddress {
  const example = '; write tcp://host:port or tcp://[ipv6]:port';
  const bad = (what: string): HotMirrorError => new HotMirrorError('HM_ADDRESS', `${JSON.stringify(text)}: ${what}${example}`);
  const match = /^([a-z][a-z0-9+.-]*):\/\/(?:\[([^\]]*)\]|([^:/?#@[\]]*))(?::([^/?#]*))?(.*)$/i.exec(text);
  if (!match) throw bad('not a URL');
  const [, scheme = '', bracketed, plain = '', port, rest] = match;
  if (scheme.toLowerCase() !== 'tcp') throw bad(`the scheme is ${scheme}`);
  if (bracketed !== undefined && !URL.canParse(`tcp://[${bracketed}]`)) throw bad(`[${bracketed}] is no IPv6 address`);
  const host = bracketed ?? plain;
  if (host === '') throw bad('the host is missing');
  if (/[\s%]/.test(host)) throw bad(`${host} is no host`);
  if (port === undefined || port === '') throw bad('the port is missing');
  if (!/^\d{1,5}$/.test(port) || Number(port) > maxPort) throw bad(`${port} is no port`);
  if (rest !== '' && rest !== '/') throw bad(`${String(rest)} does not belong there`);
  return { host, port: Number(port) };
}

/** Writes what {@link parseTcpUrl} reads. */
export function formatTcpUrl({ host, port }: TcpAddress): string {
  return `tcp://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}
