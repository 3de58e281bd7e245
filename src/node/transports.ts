import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import { serialTransport } from '../transport/serial.ts';
import { tcpTransport } from '../transport/tcp.ts';
import type { Transport } from '../transport/transport.ts';
import type { LinkAddress, PairConfig } from './config.ts';
import { peerOf } from './config.ts';
import { linkSchemeOf } from './link-address.ts';

/** What a link's transport is made from; plain data but for time and chance, so that a thread can be given it. */
export interface LinkSource {
  readonly config: PairConfig;
  readonly node: string;
  readonly key: Uint8Array | null;
}

/** The transport of a mirror's data link; `onBytes` is called whenever bytes of the peer come. */
export function dataTransport(source: LinkSource, mirror: string, clock: Clock, random: Random, onBytes: () => void): Transport {
  const addresses = source.config.mirrors.find(({ name }) => name === mirror)?.dataLink ?? {};
  return linkTransport(source, addresses, `data:${mirror}`, { clock, random, onBytes, isData: true });
}

/** The transports of the monitor links, in the order of the configuration. */
export function monitorTransports(
  source: LinkSource,
  clock: Clock,
  random: Random,
): readonly { readonly name: string; readonly transport: Transport }[] {
  return source.config.monitor.links.map(({ name, addresses }) => ({
    name,
    transport: linkTransport(source, addresses, `monitor:${name}`, { clock, random, onBytes: () => undefined, isData: false }),
  }));
}

/** What every kind of link is made from. */
interface LinkParts {
  /** This node's end. */
  readonly own: LinkAddress | undefined;
  readonly peers: LinkAddress | undefined;
  readonly isData: boolean;
  readonly common: {
    readonly pair: string;
    readonly node: string;
    readonly peer: string;
    readonly purpose: string;
    readonly clock: Clock;
    readonly random: Random;
    readonly onBytes: () => void;
  };
  readonly key: Uint8Array | null;
}

/** How the links of each scheme are made. */
const makers: Readonly<Record<string, (parts: LinkParts) => Transport>> = {
  'tcp:': ({ own, peers, common, key }) => tcpTransport({ listen: own?.listen ?? null, dial: peers?.advertise ?? '', key, ...common }),
  'serial:': ({ own, isData, common, key }) => {
    if (!key) throw new HotMirrorError('HM_CONFIG', 'a serial line needs auth.keyFile', { rule: 'trust' });
    return serialTransport({ device: own?.listen ?? '', key, ...common, ...(isData ? { limits: serialDataLimits } : {}) });
  },
};

/** A message of a data link is longer than what suits tokens. */
const serialDataLimits = { maxFrameBytes: 2 * 2 ** 20, highWaterBytes: 2 ** 16, pendingBytes: 2 ** 26 };

/** A URL under a node's name is where that node listens; each node dials the other's, or opens its own end of a line. */
function linkTransport(
  { config, node, key }: LinkSource,
  addresses: Readonly<Record<string, LinkAddress>>,
  purpose: string,
  { isData, ...around }: Pick<LinkParts['common'], 'clock' | 'random' | 'onBytes'> & Pick<LinkParts, 'isData'>,
): Transport {
  const peer = peerOf(config, node);
  const [own, peers] = [addresses[node], addresses[peer]];
  const make = makers[linkSchemeOf(own?.listen ?? '')];
  if (!make) throw new TypeError(`${purpose} is no link`);
  return make({ own, peers, isData, common: { pair: config.pair, node, peer, purpose, ...around }, key });
}
