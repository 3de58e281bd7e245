import { isIPv4, isIPv6 } from 'node:net';

import { parseNetDiskUri } from '../net-disk/net-disk-address.ts';
import { exportNameProblem } from '../net-disk/net-disk-export.ts';
import { formatSerialUrl, parseSerialUrl } from '../transport/serial-url.ts';

/** Where a link's listener stands and where the peer dials it; the same unless something between them translates addresses. */
export interface LinkAddress {
  /** Where the node listens. */
  readonly listen: string;
  /** What the peer dials. */
  readonly advertise: string;
}

/** A host and port. */
export interface HostAndPort {
  /** Without the brackets of IPv6. */
  readonly host: string;
  readonly port: number;
}

const largestPort = 65_535;
const hostName = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
/** Of Unix, or of Windows. */
const wholeDevicePath = /^(\/|COM\d+$)/;
const exportSchemes: readonly string[] = ['nbd:', 'nbds:', 'nbd+unix:', 'nbds+unix:'];

/** How links of one scheme are written, and what follows from it. */
interface LinkScheme {
  /** Says what is wrong with a URL, or null. */
  problem(text: string): string | null;
  /** What only one link of a node can have. */
  place(text: string): string;
  /** Only this machine can reach it. */
  isLoopback(text: string): boolean;
  /** What both nodes must say alike; null where there is nothing. */
  agreement(text: string): string | null;
  /** What is written for the peer, beside where the node itself listens. */
  readonly advertises: boolean;
}

const linkSchemes: Readonly<Record<string, LinkScheme>> = {
  'tcp:': {
    problem: tcpUrlProblem,
    place: (text) => new URL(text).host,
    isLoopback: isTcpLoopback,
    agreement: () => null,
    advertises: true,
  },
  'serial:': {
    problem: serialUrlProblem,
    place: (text) => `serial:${parseSerialUrl(text).path}`,
    // Who has the cable in his hands is not known.
    isLoopback: () => false,
    agreement: (text) => formatSerialUrl({ ...parseSerialUrl(text), path: '' }),
    advertises: false,
  },
};
const laterSchemes: readonly string[] = ['scsi-sim:'];

/** Says what is wrong with a link's URL, or null. */
export function linkUrlProblem(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url) return 'must be a URL such as tcp://192.0.2.1:7701';
  if (laterSchemes.includes(url.protocol)) return `${url.protocol} links are not in this version; use tcp://host:port`;
  return (
    linkSchemes[url.protocol]?.problem(text) ??
    (Object.hasOwn(linkSchemes, url.protocol) ? null : 'must be tcp://host:port or serial:DEVICE?baudRate=RATE')
  );
}

/** The scheme of a link's URL in which {@link linkUrlProblem} found nothing, such as `tcp:`. */
export function linkSchemeOf(linkUrl: string): string {
  return new URL(linkUrl).protocol;
}

/** What only one link of a node can have: an address, or a device. */
export function linkPlace(linkUrl: string): string {
  return schemeOf(linkUrl).place(linkUrl);
}

/** Whether only this machine can reach the URL. A name other than `localhost` counts as reachable: what it resolves to may change. */
export function isLoopback(linkUrl: string): boolean {
  return schemeOf(linkUrl).isLoopback(linkUrl);
}

/** Says what is wrong with the two ends of one link, or null. */
export function linkEndsProblem(one: string, other: string): string | null {
  if (linkSchemeOf(one) !== linkSchemeOf(other)) return `is of another kind than ${other}`;
  return schemeOf(one).agreement(one) === schemeOf(other).agreement(other) ? null : `must have the same baudRate and rtscts as ${other}`;
}

/** Whether the peer may be told another address than the one that the node listens at. */
export function mayAdvertise(linkUrl: string): boolean {
  return schemeOf(linkUrl).advertises;
}

function schemeOf(linkUrl: string): LinkScheme {
  const scheme = linkSchemes[linkSchemeOf(linkUrl)];
  if (!scheme) throw new TypeError(`${linkUrl} is no link`);
  return scheme;
}

function tcpUrlProblem(text: string): string | null {
  const url = new URL(text);
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

function serialUrlProblem(text: string): string | null {
  try {
    const { path } = parseSerialUrl(text);
    return wholeDevicePath.test(path) ? null : 'needs a device with its whole path, such as serial:/dev/ttyS0?baudRate=115200';
  } catch (error) {
    return (error as Error).message;
  }
}

function isTcpLoopback(text: string): boolean {
  const { host } = parseLinkUrl(text);
  return host.toLowerCase() === 'localhost' || (isIPv4(host) && host.startsWith('127.')) || host === '::1';
}

/** Host and port of a TCP link's URL in which {@link linkUrlProblem} found nothing. */
export function parseLinkUrl(text: string): HostAndPort {
  const url = new URL(text);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port) };
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
