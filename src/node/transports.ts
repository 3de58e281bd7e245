import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { tcpTransport } from '../transport/tcp.ts';
import type { Transport } from '../transport/transport.ts';
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

/** The transport of a mirror's data link; `onBytes` is called whenever bytes of the peer come. */
export function dataTransport(
  source: LinkSource,
  keyring: LinkKeyring,
  mirror: string,
  clock: Clock,
  random: Random,
  onBytes: () => void,
): Transport {
  const addresses = source.config.mirrors.find(({ name }) => name === mirror)?.dataLink ?? {};
  return linkTransport(source, keyring, addresses, `data:${mirror}`, clock, random, onBytes);
}

/** The transports of the monitor links, in the order of the configuration. */
export function monitorTransports(
  source: LinkSource,
  keyring: LinkKeyring,
  clock: Clock,
  random: Random,
): readonly { readonly name: string; readonly transport: Transport }[] {
  return source.config.monitor.links.map(({ name, addresses }) => ({
    name,
    transport: linkTransport(source, keyring, addresses, `monitor:${name}`, clock, random),
  }));
}

/** A URL under a node's name is where that node listens; each node dials the other's. */
function linkTransport(
  { config, node, key }: LinkSource,
  keyring: LinkKeyring,
  addresses: Readonly<Record<string, LinkAddress>>,
  purpose: string,
  clock: Clock,
  random: Random,
  onBytes: () => void = () => undefined,
): Transport {
  const peer = peerOf(config, node);
  return tcpTransport({
    listen: addresses[node]?.listen ?? null,
    dial: addresses[peer]?.advertise ?? '',
    pair: config.pair,
    node,
    peer,
    purpose,
    key,
    tls: keyring.of(addresses[node]?.tls),
    clock,
    random,
    onBytes,
  });
}
