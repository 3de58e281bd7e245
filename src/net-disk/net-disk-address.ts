import { HotMirrorError } from '../errors.ts';

/** Where a server listens. */
export type NetDiskAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** What an NBD URI says. */
export interface NetDiskLocation {
  readonly address: NetDiskAddress;
  /** Of the export. */
  readonly name: string;
  /** The scheme asks for TLS. */
  readonly tls: boolean;
}

/** The port that is registered for NBD. */
const registeredPort = 10_809;
export const largestPort = 65_535;

/**
 * Takes an NBD URI apart: `nbd+unix:///NAME?socket=PATH` or `nbd://HOST[:PORT]/NAME` (`nbds…` where TLS is needed). Throws `HM_ADDRESS` for anything else.
 */
export function parseNetDiskUri(uri: string): NetDiskLocation {
  const url = parse(uri);
  const tls = url.protocol.startsWith('nbds');
  const name = decoded(uri, url.pathname.replace(/^\//u, ''));
  const socket = url.searchParams.get('socket');
  if (url.protocol.endsWith('+unix:')) {
    if (!socket || url.hostname !== '') throw wrong(uri, 'nbd+unix:///NAME?socket=PATH');
    return { address: { path: socket }, name, tls };
  }
  if (url.hostname === '' || socket !== null) throw wrong(uri, 'nbd://HOST:PORT/NAME');
  const host = url.hostname.replace(/^\[(.*)\]$/u, '$1');
  return { address: { host, port: url.port === '' ? registeredPort : Number(url.port) }, name, tls };
}

/** What a URI says of an address, for people. */
export function formatAddress(address: NetDiskAddress): string {
  if ('path' in address) return address.path;
  return `nbd://${address.host.includes(':') ? `[${address.host}]` : address.host}:${String(address.port)}`;
}

/** What is wrong with the port of a URI that is no URL because of it, or null. */
export function portProblem(uri: string): string | null {
  const port = /^nbds?:\/\/[^/?#]*:(?<port>\d+)(?:[/?#]|$)/iu.exec(uri)?.groups?.['port'];
  return port === undefined || Number(port) <= largestPort ? null : `${port} is no port: the largest is ${String(largestPort)}`;
}

function parse(uri: string): URL {
  const port = portProblem(uri);
  if (port !== null) throw new HotMirrorError('HM_ADDRESS', `${uri}: ${port}`);
  const url = URL.canParse(uri) ? new URL(uri) : null;
  if (!url || !/^nbds?(\+unix)?:$/u.test(url.protocol)) throw wrong(uri, 'nbd+unix:///NAME?socket=PATH');
  return url;
}

function decoded(uri: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(uri, 'nbd+unix:///NAME?socket=PATH');
  }
}

function wrong(uri: string, right: string): HotMirrorError {
  return new HotMirrorError('HM_ADDRESS', `${uri} is no NBD URI such as ${right}`);
}
