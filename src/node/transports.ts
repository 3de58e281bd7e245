import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { parseScsiUrl, scsiSocketPort, scsiTransport } from '../transport/scsi-sim/index.ts';
import { tcpTransport } from '../transport/tcp.ts';
import type { Transport } from '../transport/transport.ts';
import { goDown } from './go-down.ts';
import { schemeOf } from './link-schemes.ts';
import type { LinkAddress, PairConfig } from './config.ts';
import { peerOf } from './config.ts';

/** What a link's transport is made from; plain data but for time and chance, so that a thread can be given it. */
export interface LinkSource {
  readonly config: PairConfig;
  readonly node: string;
  readonly key: Uint8Array | null;
}

/** The transport of a mirror's data link; `onBytes` is called whenever bytes of the peer come. */
export function dataTransport(source: LinkSource, mirror: string, clock: Clock, random: Random, onBytes: () => void): Transport {
  const addresses = source.config.mirrors.find(({ name }) => name === mirror)?.dataLink ?? {};
  return linkTransport(source, addresses, `data:${mirror}`, clock, random, onBytes);
}

/** The transports of the monitor links, in the order of the configuration. */
export function monitorTransports(
  source: LinkSource,
  clock: Clock,
  random: Random,
): readonly { readonly name: string; readonly transport: Transport }[] {
  return source.config.monitor.links.map(({ name, addresses }) => ({
    name,
    transport: linkTransport(source, addresses, `monitor:${name}`, clock, random),
  }));
}

/** What a link's transport is made from, whatever its kind. */
interface LinkEnds {
  /** Where this node listens. */
  readonly listen: string | null;
  /** Where the peer is dialled. */
  readonly dial: string;
  readonly pair: string;
  readonly node: string;
  readonly peer: string;
  readonly purpose: string;
  readonly key: Uint8Array | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly onBytes: () => void;
}

/** By the scheme of the addresses. */
const makers: Readonly<Record<string, (ends: LinkEnds) => Transport>> = { 'tcp:': tcpTransport, 'scsi-sim:': scsiLink };

/** A URL under a node's name is where that node listens; each node dials the other's. */
function linkTransport(
  { config, node, key }: LinkSource,
  addresses: Readonly<Record<string, LinkAddress>>,
  purpose: string,
  clock: Clock,
  random: Random,
  onBytes: () => void = () => undefined,
): Transport {
  const peer = peerOf(config, node);
  const dial = addresses[peer]?.advertise ?? '';
  const make = makers[schemeOf(dial)] ?? tcpTransport;
  return make({ listen: addresses[node]?.listen ?? null, dial, pair: config.pair, node, peer, purpose, key, clock, random, onBytes });
}

/** Each node takes its own place on the bus. */
function scsiLink({ listen, dial, ...ends }: LinkEnds): Transport {
  const { file, id } = parseScsiUrl(listen ?? '');
  const port = scsiSocketPort({ path: file, id, clock: ends.clock });
  return scsiTransport({ ...ends, port, peerId: parseScsiUrl(dial).id, onBusError: goDown });
}
