import path from 'node:path';

import { parseNetDiskUri } from '../net-disk/net-disk-address.ts';
import type { PairConfig } from './config.ts';
import type { FileAddress, FileConfig } from './config-schema.ts';
import { formatPath } from './config-schema.ts';

type Path = readonly PropertyKey[];

/** Where something of a node listens. */
interface Place {
  readonly path: Path;
  /** `unix` for a socket file. */
  readonly host: string;
  /** The port, or the file. */
  readonly at: string;
}

/** A host that stands for every address of the machine. */
const everyAddress: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** The exports of each node that would listen where something else of the same node does: whichever comes second finds the place taken. Pure. */
export function exportClashes(
  { nodes = {}, mirrors = [] }: Partial<FileConfig>,
  links: readonly (readonly [Path, Readonly<Record<string, FileAddress>>])[],
): { readonly path: Path; readonly problem: string }[] {
  return Object.entries(nodes).flatMap(([node, { controlSocket }]) => {
    const taken: Place[] = [
      { path: ['nodes', node, 'controlSocket'], host: 'unix', at: path.normalize(controlSocket) },
      ...links.flatMap(([link, addresses]) => (Object.hasOwn(addresses, node) ? placeOfLink([...link, node], addresses[node]!) : [])),
    ];
    return mirrors.flatMap((mirror, index) => {
      const exported = mirror.export && Object.hasOwn(mirror.export, node) ? mirror.export[node] : undefined;
      if (exported === undefined) return [];
      const place = placeOfExport(['mirrors', index, 'export', node], typeof exported === 'string' ? exported : exported.uri);
      const clash = taken.find((other) => clashes(place, other));
      taken.push(place);
      return clash ? [{ path: place.path, problem: `listens in the same place as ${formatPath(clash.path)}` }] : [];
    });
  });
}

/** What the exports of a configuration leave to be wished, each in a sentence. Pure. */
export function exportWarnings({ nodes, mirrors }: PairConfig): readonly string[] {
  return mirrors.flatMap((mirror) => {
    const without = Object.keys(nodes).filter((node) => !Object.hasOwn(mirror.export, node));
    if (without.length !== 1) return [];
    return [`mirror ${mirror.name} has no export on ${without.join('')}: while that node serves, nobody reaches the disk by NBD`];
  });
}

function placeOfLink(at: Path, written: FileAddress): Place[] {
  const listen = typeof written === 'string' ? written : written.listen;
  if (!listen.toLowerCase().startsWith('tcp:')) return [];
  const { hostname, port } = new URL(listen);
  return [{ path: at, host: hostname.replace(/^\[(.*)\]$/u, '$1'), at: port }];
}

function placeOfExport(at: Path, uri: string): Place {
  const { address } = parseNetDiskUri(uri);
  if ('path' in address) return { path: at, host: 'unix', at: path.normalize(address.path) };
  return { path: at, host: address.host, at: String(address.port) };
}

function clashes(one: Place, other: Place): boolean {
  if (one.at !== other.at || (one.host === 'unix') !== (other.host === 'unix')) return false;
  return one.host === other.host || everyAddress.has(one.host) || everyAddress.has(other.host);
}
