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

function parse(uri: string): URL {
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
