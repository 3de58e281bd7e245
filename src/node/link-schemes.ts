import { isIPv4, isIPv6 } from 'node:net';

import { formatScsiUrl, parseScsiUrl } from '../transport/scsi-sim/address.ts';
import { formatSerialUrl, parseSerialUrl } from '../transport/serial-url.ts';
import type { LinkAddress } from './config.ts';
import { mailboxPace, serialPace } from './link-pace.ts';
import type { LinkPace } from './link-pace.ts';

/** What the configuration has to know of a kind of link. All of it works on a URL in which `problem` found nothing. */
export interface LinkScheme {
  /** Says what is wrong with the URL, or null. */
  problem(url: string): string | null;
  /** Only this machine can reach it (rule `trust`). */
  local(url: string): boolean;
  /** What one link alone can have, of a node or, with `shared`, of both. */
  place(url: string): string;
  /** Both nodes take their places on one thing. */
  readonly shared: boolean;
  /** Says how the two ends do not fit together, or null. */
  misfit(one: string, other: string): string | null;
  /** A node is dialled where it listens, or at another address. Else each node opens its own end. */
  readonly dialled: boolean;
  /** Fast enough for a data link. */
  readonly bulk: boolean;
  /** How slow it is, between nodes with that deadline; null: as fast as a network. */
  pace(url: string, deadlineMs: number): LinkPace | null;
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
/** Of Unix, or of Windows. */
const wholeDevicePath = /^(\/|COM\d+$)/;

const tcp: LinkScheme = {
  problem: tcpProblem,
  local(url) {
    const { host } = hostAndPort(url);
    // A name other than `localhost` counts as reachable: what it resolves to may change.
    return host.toLowerCase() === 'localhost' || (isIPv4(host) && host.startsWith('127.')) || host === '::1';
  },
  place: (url) => new URL(url).host,
  shared: false,
  misfit: () => null,
  dialled: true,
  bulk: true,
  pace: () => null,
  absolute: (url) => url,
};

const serial: LinkScheme = {
  problem: serialProblem,
  // Who has the cable in his hands is not known.
  local: () => false,
  place: (url) => `serial:${parseSerialUrl(url).path}`,
  shared: false,
  misfit: (one, other) => (lineFormat(one) === lineFormat(other) ? null : `must have the same baudRate and rtscts as ${other}`),
  dialled: false,
  bulk: true,
  pace: (url) => serialPace(parseSerialUrl(url).baudRate),
  absolute: (url) => url,
};

const scsiSim: LinkScheme = {
  problem(url) {
    try {
      parseScsiUrl(url);
      return null;
    } catch {
      return 'must be scsi-sim:FILE?id=7 or scsi-sim:FILE?id=7&mailbox=0, with an id and a mailbox from 0 to 15';
    }
  },
  // The bus is a unix socket of its owner.
  local: () => true,
  // Also over a mailbox the id is a host's own.
  place: (url) => formatScsiUrl({ file: parseScsiUrl(url).file, id: parseScsiUrl(url).id }),
  shared: true,
  misfit: scsiMisfit,
  dialled: false,
  bulk: false,
  pace: (url, deadlineMs) => (parseScsiUrl(url).mailbox === undefined ? null : mailboxPace(deadlineMs)),
  absolute(url, absolute) {
    const address = parseScsiUrl(url);
    return formatScsiUrl({ ...address, file: absolute(address.file) });
  },
};

const schemes: Readonly<Record<string, LinkScheme>> = { 'tcp:': tcp, 'serial:': serial, 'scsi-sim:': scsiSim };

/** The scheme of a link's URL with its colon, as in `tcp:`. */
export function schemeOf(url: string): string {
  return url.slice(0, url.indexOf(':') + 1).toLowerCase();
}

/** The kind of a link whose URL was found well-formed. */
export function linkScheme(url: string): LinkScheme {
  return schemes[schemeOf(url)] ?? tcp;
}

/** How slow a link is, by where its nodes listen; null: as fast as a network. Both ends are of one kind. */
export function paceOf(addresses: Readonly<Record<string, Pick<LinkAddress, 'listen'>>>, deadlineMs: number): LinkPace | null {
  return Object.values(addresses).flatMap(({ listen }) => linkScheme(listen).pace(listen, deadlineMs) ?? [])[0] ?? null;
}

/** Says what is wrong with a link's URL, or null. */
export function linkUrlProblem(url: string): string | null {
  return linkScheme(url).problem(url);
}

function tcpProblem(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url) return 'must be a URL such as tcp://192.0.2.1:7701';
  if (url.protocol !== 'tcp:') return 'must be tcp://host:port, serial:DEVICE?baudRate=RATE or scsi-sim:FILE?id=7';
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

function serialProblem(text: string): string | null {
  try {
    const { path } = parseSerialUrl(text);
    return wholeDevicePath.test(path) ? null : 'needs a device with its whole path, such as serial:/dev/ttyS0?baudRate=115200';
  } catch (error) {
    return (error as Error).message;
  }
}

/** What both ends of a line must have alike. */
function lineFormat(url: string): string {
  return formatSerialUrl({ ...parseSerialUrl(url), path: '' });
}

function scsiMisfit(one: string, other: string): string | null {
  const [here, there] = [parseScsiUrl(one), parseScsiUrl(other)];
  if (here.file !== there.file) return 'must name the same file at both ends';
  return here.mailbox === there.mailbox ? null : 'must name the same mailbox at both ends, or neither';
}
