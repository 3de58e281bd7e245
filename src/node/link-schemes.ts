import { isIPv4, isIPv6 } from 'node:net';

import { formatScsiUrl, parseScsiUrl } from '../transport/scsi-sim/address.ts';

/** What the configuration has to know of a kind of link. All of it works on a URL in which `problem` found nothing. */
export interface LinkScheme {
  /** Says what is wrong with the URL, or null. */
  problem(url: string): string | null;
  /** Only this machine can reach it (rule `trust`). */
  local(url: string): boolean;
  /** What one link alone can have, of a node or, with `shared`, of both. */
  place(url: string): string;
  /** Both nodes take their places on one thing; nothing between them translates addresses. */
  readonly shared: boolean;
  /** Of a shared thing: which one it is. */
  sharedName(url: string): string;
  /** Fast enough for a data link. */
  readonly bulk: boolean;
  /** The URL with paths from the folder of the configuration. */
  absolute(url: string, absolute: (relative: string) => string): string;
}

/** A host and port. */
interface HostAndPort {
  /** Without the brackets of IPv6. */
  readonly host: string;
  readonly port: number;
}

const largestPort = 65_535;
const hostName = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const laterSchemes: readonly string[] = ['serial:'];

const tcp: LinkScheme = {
  problem: tcpProblem,
  local(url) {
    const { host } = hostAndPort(url);
    // A name other than `localhost` counts as reachable: what it resolves to may change.
    return host.toLowerCase() === 'localhost' || (isIPv4(host) && host.startsWith('127.')) || host === '::1';
  },
  place: (url) => new URL(url).host,
  shared: false,
  sharedName: (url) => url,
  bulk: true,
  absolute: (url) => url,
};

const scsiSim: LinkScheme = {
  problem(url) {
    try {
      parseScsiUrl(url);
      return null;
    } catch {
      return 'must be scsi-sim:FILE?id=7 with an id from 0 to 15';
    }
  },
  // The bus is a unix socket of its owner.
  local: () => true,
  place: (url) => formatScsiUrl(parseScsiUrl(url)),
  shared: true,
  sharedName: (url) => parseScsiUrl(url).file,
  bulk: false,
  absolute(url, absolute) {
    const { file, id } = parseScsiUrl(url);
    return formatScsiUrl({ file: absolute(file), id });
  },
};

const schemes: Readonly<Record<string, LinkScheme>> = { 'tcp:': tcp, 'scsi-sim:': scsiSim };

/** The scheme of a link's URL with its colon, as in `tcp:`. */
export function schemeOf(url: string): string {
  return url.slice(0, url.indexOf(':') + 1).toLowerCase();
}

/** The kind of a link whose URL was found well-formed. */
export function linkScheme(url: string): LinkScheme {
  return schemes[schemeOf(url)] ?? tcp;
}

/** Says what is wrong with a link's URL, or null. */
export function linkUrlProblem(url: string): string | null {
  const scheme = schemeOf(url);
  if (laterSchemes.includes(scheme)) return `${scheme} links are not in this version; use tcp://host:port`;
  return linkScheme(url).problem(url);
}

function tcpProblem(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url) return 'must be a URL such as tcp://192.0.2.1:7701';
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
  const { host } = hostAndPort(text);
  return isIPv4(host) || isIPv6(host) || hostName.test(host) ? null : 'needs a host name or an IP address';
}

function hostAndPort(text: string): HostAndPort {
  const url = new URL(text);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port) };
}
