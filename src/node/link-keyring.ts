import { HotMirrorError } from '../errors.ts';
import { LinkKeys } from '../transport/tcp.ts';
import type { LinkCredentials } from '../transport/tcp.ts';
import type { LinkTlsFiles, PairConfig } from './config.ts';
import { peerOf } from './config.ts';

/** The keys of a node's links, by what {@link keysName} says of the files that hold them. Plain data, for it travels to threads. */
export type CredentialsByName = ReadonlyMap<string, LinkCredentials>;

/** What the links that use certain files are to use from now on. Plain data. */
export interface KeyRenewal {
  readonly name: string;
  readonly credentials: LinkCredentials;
}

/** The same for the same files. */
export function keysName(files: LinkTlsFiles): string {
  return 'pskFile' in files ? files.pskFile : [files.keyFile, files.certificateFile, files.caFile].join(', ');
}

/** The files that a node's links need, each once. */
export function linkKeyFiles({ mirrors, monitor }: PairConfig, node: string): ReadonlyMap<string, LinkTlsFiles> {
  const links = [...mirrors.map(({ dataLink }) => dataLink), ...monitor.links.map(({ addresses }) => addresses)];
  const files = links.flatMap((addresses) => addresses[node]?.tls ?? []);
  return new Map(files.map((each) => [keysName(each), each]));
}

/** The keys that the links of one thread use. Links with the same files have the same ones. */
export class LinkKeyring {
  readonly #keys: ReadonlyMap<string, LinkKeys>;

  /** Throws `HM_TLS_KEYS` for credentials that cannot be used. */
  constructor({
    config,
    node,
    credentials,
  }: {
    readonly config: PairConfig;
    readonly node: string;
    readonly credentials: CredentialsByName;
  }) {
    const peer = peerOf(config, node);
    this.#keys = new Map([...credentials].map(([name, each]) => [name, new LinkKeys({ node, peer, credentials: each })]));
  }

  /** The keys of a link; undefined where it speaks no TLS. Throws `HM_TLS_KEYS` where it does and they were not read: it never speaks without. */
  of(files: LinkTlsFiles | undefined): LinkKeys | undefined {
    if (!files) return undefined;
    const keys = this.#keys.get(keysName(files));
    if (!keys) throw new HotMirrorError('HM_TLS_KEYS', `the keys of ${keysName(files)} were not read`, { rule: 'trust' });
    return keys;
  }

  /** The next connections use these. Throws as `LinkKeys.replace`. */
  renew({ name, credentials }: KeyRenewal): void {
    this.#keys.get(name)?.replace(credentials);
  }
}
