import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import type { MonitorLinkOptions } from '../heartbeat/options.ts';
import { mailboxBlocks, mailboxTransport, parseScsiUrl, scsiSocketPort, scsiTransport } from '../transport/scsi-sim/index.ts';
import { serialTransport } from '../transport/serial.ts';
import type { OpenPort } from '../transport/serial.ts';
import { tcpTransport } from '../transport/tcp.ts';
import type { Transport } from '../transport/transport.ts';
import { goDown } from './go-down.ts';
import { lateProbeNeedsMs, mailboxPollMs } from './link-pace.ts';
import { paceOf, schemeOf } from './link-schemes.ts';
import type { LinkAddress, PairConfig } from './config.ts';
import { peerOf } from './config.ts';
import type { CredentialsByName, LinkKeyring } from './link-keyring.ts';

/** What a link's transport is made from; plain data but for time and chance, so that a thread can be given it. */
export interface LinkSource {
  readonly config: PairConfig;
  readonly node: string;
  readonly key: Uint8Array | null;
  /** The keys of its links for TLS, as they were read at the start. */
  readonly credentials: CredentialsByName;
}

/** The transport of a mirror's data link. */
export function dataTransport(
  source: LinkSource,
  keyring: LinkKeyring,
  mirror: string,
  use: Pick<LinkUse, 'clock' | 'random' | 'onBytes'> & { readonly openPort: OpenPort },
): Transport {
  const addresses = source.config.mirrors.find(({ name }) => name === mirror)?.dataLink ?? {};
  return linkTransport(source, keyring, addresses, { ...use, purpose: `data:${mirror}`, isData: true });
}

/** The monitor links, in the order of the configuration. */
export function monitorLinks(source: LinkSource, keyring: LinkKeyring, clock: Clock, random: Random): readonly MonitorLinkOptions[] {
  const { links, deadlineMs } = source.config.monitor;
  return links.map(({ name, addresses }) => {
    const use = { purpose: `monitor:${name}`, isData: false, clock, random, onBytes: () => undefined };
    const pace = paceOf(addresses, deadlineMs);
    return {
      name,
      transport: linkTransport(source, keyring, addresses, use),
      ...(pace && { lateProbeMinMs: lateProbeNeedsMs(pace) }),
    };
  });
}

/** What a link is for, and what it is made with. */
interface LinkUse {
  readonly purpose: string;
  readonly isData: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** Called whenever bytes of the peer come. */
  readonly onBytes: () => void;
  /** Opens serial ports, in a thread that cannot itself. */
  readonly openPort?: OpenPort;
}

/** What a link's transport is made from, whatever its kind. */
interface LinkEnds extends LinkUse {
  /** Where this node listens. */
  readonly listen: string;
  /** Where the peer is dialled. */
  readonly dial: string;
  readonly pair: string;
  readonly node: string;
  readonly peer: string;
  readonly key: Uint8Array | null;
  /** Of the monitor. */
  readonly deadlineMs: number;
  readonly tls: ReturnType<LinkKeyring['of']>;
}

/** By the scheme of the addresses. */
const makers: Readonly<Record<string, (ends: LinkEnds) => Transport>> = {
  'tcp:': tcpTransport,
  'serial:': serialLink,
  'scsi-sim:': scsiLink,
};

/** A URL under a node's name is where that node listens, and each node dials the other's; or it is that node's end of what both are on. */
function linkTransport(
  { config, node, key }: LinkSource,
  keyring: LinkKeyring,
  addresses: Readonly<Record<string, LinkAddress>>,
  use: LinkUse,
): Transport {
  const peer = peerOf(config, node);
  const { listen, tls } = addresses[node] ?? {};
  const { advertise } = addresses[peer] ?? {};
  if (listen === undefined || advertise === undefined) throw new RangeError(`${use.purpose} has no address for ${node} and ${peer}`);
  const make = makers[schemeOf(listen)] ?? tcpTransport;
  const { deadlineMs } = config.monitor;
  return make({ listen, dial: advertise, pair: config.pair, node, peer, key, deadlineMs, tls: keyring.of(tls), ...use });
}

/** A message of a data link is longer than what suits tokens. */
const serialDataLimits = { maxFrameBytes: 2 * 2 ** 20, highWaterBytes: 2 ** 16, pendingBytes: 2 ** 26 };

/** Each node opens its own end of the line. */
function serialLink({ listen, key, isData, ...ends }: LinkEnds): Transport {
  if (!key) throw new HotMirrorError('HM_CONFIG', 'a serial line needs auth.keyFile', { rule: 'trust' });
  return serialTransport({ ...ends, device: listen, key, ...(isData ? { limits: serialDataLimits } : {}) });
}

/** Each node takes its own place on the bus, and speaks by messages or through its slot of a mailbox. */
function scsiLink({ listen, dial, deadlineMs, ...ends }: LinkEnds): Transport {
  const { file, id, mailbox } = parseScsiUrl(listen);
  const port = scsiSocketPort({ path: file, id, clock: ends.clock });
  const options = { ...ends, port, peerId: parseScsiUrl(dial).id, onBusError: goDown };
  if (mailbox === undefined) return scsiTransport(options);
  return mailboxTransport({ ...options, firstBlock: mailbox * mailboxBlocks, pollMs: mailboxPollMs(deadlineMs) });
}
