import path from 'node:path';

import { CommandPair } from './command-pair.ts';
import type { NodeName, PairFile } from './command-pair.ts';

/** Makes the mirror a net disk on the node that serves. */
export function exportIt({ mirrors: [mirror] }: PairFile): void {
  Object.assign(mirror!, { export: { alpha: 'nbd+unix:///m0?socket=alpha/m0.nbd', beta: 'nbd+unix:///m0?socket=beta/m0.nbd' } });
}

/** Reads and writes both elements past the page cache. */
export function directly({ mirrors: [mirror] }: PairFile): void {
  for (const element of Object.values(mirror!.elements)) Object.assign(element, { direct: true });
}

/** A healthy pair whose mirror is a net disk on the node that serves, changed further by `change`. */
export async function exportedPair(change: (file: PairFile) => void = () => undefined): Promise<CommandPair> {
  const pair = await CommandPair.healthy({
    change: (file) => {
      exportIt(file);
      change(file);
    },
  });
  await untilExported(pair, 'alpha');
  return pair;
}

/** Resolves when the net disk of this node is there: a moment after the node serves. */
export async function untilExported(pair: CommandPair, node: NodeName): Promise<void> {
  await pair.until(node, 'the export', ({ mirrors }) => mirrors[0]?.export !== null);
}

/** The socket of a node's net disk. */
export function socketOf(pair: CommandPair, node: NodeName): string {
  return path.join(pair.folder, node, 'm0.nbd');
}

/** As a client anywhere on this machine asks for it. */
export function uriOf(pair: CommandPair, node: NodeName): string {
  return `nbd+unix:///m0?socket=${socketOf(pair, node)}`;
}
