import { readElementImage } from '../../../src/mirror/element-store.ts';
import { decodeMessages } from '../../../src/mirror/wire.ts';
import type { MessageName } from '../../../src/mirror/wire.ts';
import { Endings } from './endings.ts';
import { tapFrames } from './frame-tap.ts';
import { GatedDevice } from './gated-device.ts';
import { MirrorPair, other, pattern } from './mirror-pair.ts';
import type { MirrorPairOptions, NodeName } from './mirror-pair.ts';

export const block = 4_096;
export const extent = 65_536;
export const delayMs = 10;
export const windowBytes = 4 * block;
/** More than one way of the link and back. */
export const soonMs = 5 * delayMs;
export const ackDeadlineMs = 2_000;

export interface Rig {
  readonly pair: MirrorPair;
  /** Disks and metadata of both nodes, by `node:what`. */
  readonly gates: Readonly<Record<string, GatedDevice>>;
  readonly endings: Endings;
  /** Names of the messages that a node said to the other since the pair is whole. */
  readonly said: (node: NodeName) => readonly MessageName[];
  /** Writes one block from alpha, each with a value of its own. */
  readonly write: (at: number) => void;
}

/** A pair in service whose devices have a gate each, by async with room for four blocks. */
export async function congestible(options: MirrorPairOptions = {}): Promise<Rig> {
  const gates: Record<string, GatedDevice> = {};
  const heard: { readonly node: NodeName; readonly frame: Uint8Array }[] = [];
  const pair = new MirrorPair({
    ...{ protocol: 'async', whenCongested: 'pull-ahead', delayMs, sizeBytes: 32 * extent, limits: { windowBytes, ackDeadlineMs } },
    ...options,
    wrap: (device, what) => (gates[what] = new GatedDevice(device)),
    wrapTransport: (transport, node) => tapFrames(transport, (frame) => heard.push({ node: other(node), frame })),
  });
  await pair.start();
  // Its region is in the activity log from here on.
  await pair.write('alpha', 0, pattern(block, 255));
  await pair.clock.runFor(soonMs);
  heard.length = 0;
  pair.told.length = 0;
  const endings = new Endings();
  return {
    ...{ pair, gates, endings },
    said: (node) => heard.filter((entry) => entry.node === node).flatMap(({ frame }) => decodeMessages(frame).map(({ name }) => name)),
    write: (at) => pair.mirror('alpha').write(at * extent, pattern(block, at + 1), {}, endings.next()),
  };
}

export const done = (count: number): readonly string[] => Array.from({ length: count }, () => 'done');

/** The target's disk stands still, four writes fill the window, and a fifth finds it full. */
export function congest({ gates, write }: Rig): void {
  gates['beta:disk']?.shut();
  for (let at = 0; at < 5; at += 1) write(at);
}

export const storedState = ({ pair }: Rig, node: NodeName): string | undefined =>
  readElementImage(pair.metadata[node].contents, pair.metadata[node].blockSizeBytes)?.metadata.state;
