import { isIPv4, isIPv6 } from 'node:net';

import { parseNetDiskUri } from '../net-disk/net-disk-address.ts';
import { exportNameProblem } from '../net-disk/net-disk-export.ts';

/** Where a link's listener stands and where the peer dials it; the same unless something between them translates addresses. */
export interface LinkAddress {
  /** Where the node listens. */
  readonly listen: string;
  /** What the peer dials. */
  readonly advertise: string;
  /** The keys with which the node speaks TLS on this link; absent: it speaks none. */
  readonly tls?: LinkTlsFiles | undefined;
}

/** Where the keys of a link lie. */
export type LinkTlsFiles =
  { readonly keyFile: string; readonly certificateFile: string; readonly caFile: string } | { readonly pskFile: string };

/** A host and port. */
export interface HostAndPort {
  /** Without the brackets of IPv6. */
  readonly host: string;
  readonly port: number;
}

const largestPort = 65_535;
const hostName = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const laterSchemes: readonly string[] = ['serial:', 'scsi-sim:'];
const exportSchemes: readonly string[] = ['nbd:', 'nbds:', 'nbd+unix:', 'nbds+unix:'];

/** Says what is wrong with a link's URL, or null. */
export function linkUrlProblem(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url) return 'must be a URL such as tcp://192.0.2.1:7701';
  if (laterSchemes.includes(url.protocol)) return `${url.protocol} links are not in this version; use tcp://host:port`;
  if (url.protocol !== 'tcp:') return 'must be tcp://host:port';
  if (
    url.username !== '' ||
    url.password !== '' ||
    url.search !== '' ||
    url.hash !== '' ||
    !(url.pathname === '' || url.pathname === '/')
  ) {
    return 'must be tcp://host:port and nothing more';
  }
  if (url.port === '' || Number(url.port) === 0) return `needs a port from 1 to ${String(largestPort)}`;
  const { host } = parseLinkUrl(text);
  return isIPv4(host) || isIPv6(host) || hostName.test(host) ? null : 'needs a host name or an IP address';
}

/** Host and port of a link's URL in which {@link linkUrlProblem} found nothing. */
export function parseLinkUrl(text: string): HostAndPort {
  const url = new URL(text);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port) };
}

/** Whether only this machine can reach the URL. A name other than `localhost` counts as reachable: what it resolves to may change. */
export function isLoopback(linkUrl: string): boolean {
  const { host } = parseLinkUrl(linkUrl);
  return host.toLowerCase() === 'localhost' || (isIPv4(host) && host.startsWith('127.')) || host === '::1';
}

/** Says what is wrong with an export's NBD URI, or null. */
export function exportUriProblem(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !exportSchemes.includes(url.protocol))
    return 'must be an NBD URI: nbd+unix:///NAME?socket=PATH, nbd://host:port/NAME or one of nbds';
  const unix = url.protocol.endsWith('+unix:');
  if (unix && !url.searchParams.get('socket')) return 'needs ?socket=PATH';
  if (!unix && url.hostname === '') return 'needs a host';
  try {
    return exportNameProblem(parseNetDiskUri(text).name);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Whether an element is the export of an NBD server. */
export function isNetDiskUri(device: string): boolean {
  return exportSchemes.includes(device.slice(0, device.indexOf('//')));
}

/** Says what is wrong with the URI of an element, or null. */
export function elementUriProblem(text: string): string | null {
  if (!isNetDiskUri(text)) return 'must be a path, nbd+unix:///NAME?socket=PATH or nbd://host:port/NAME';
  return text.startsWith('nbds') ? 'TLS to the server of an element is not in this version' : exportUriProblem(text);
}
