import { regionBytes } from '../../../src/mirror/activity-log.ts';
import type { readElementImage } from '../../../src/mirror/element-store.ts';
import { decideSync } from '../../../src/mirror/lineage.ts';
import type { LineageView } from '../../../src/mirror/lineage.ts';
import type { MirrorState } from '../../../src/mirror/state.ts';
import { other } from '../support/mirror-pair.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import { sectorBytes } from './crash-disk.ts';
import type { CrashWorld } from './crash-world.ts';

type Stored = NonNullable<ReturnType<typeof readElementImage>>;

/**
 * Rule write.intent on what both nodes' disks hold now: where the elements differ, the next handshake either copies all, or a dirty bit or an entry of the
 * activity log on at least one node says so. Null where that holds, else what is wrong.
 */
export function unsaidDifference(world: CrashWorld): string | null {
  const [alpha, beta] = [world.stored('alpha'), world.stored('beta')];
  if (!alpha || !beta) return null;
  const decision = decideSync(viewOf(world, 'alpha', alpha), viewOf(world, 'beta', beta));
  // Nothing is copied before an operator has named the survivor.
  if (decision.kind === 'refuse' && decision.outcome === 'split-brain' && world.forked) return null;
  if (decision.kind === 'refuse' && decision.outcome !== 'standalone') return `the elements are ${decision.outcome}: ${decision.because}`;
  if (decision.kind === 'sync' && decision.scope === 'full') return null;
  if (decision.kind === 'refuse' && (decision.rule === 'lineage.blank' || decision.rule === 'lineage.source')) return null;
  const maps = [alpha, beta].filter(({ metadata }) => metadata.current !== null);
  const forgotten = world.forgotten.map((sector) => Math.floor((sector * sectorBytes) / alpha.dirty.extentBytes));
  for (const at of differences(world, [alpha, beta])) {
    const extent = at / alpha.dirty.extentBytes;
    const said = maps.some(({ dirty, metadata }) => (extent < dirty.extents && dirty.has(extent)) || isActive(metadata, at));
    if (said || forgotten.includes(extent)) continue;
    return `the elements differ in the extent at ${String(at)} and nothing durable says so (write.intent); the next handshake: ${decision.because}`;
  }
  return null;
}

/** Rule resync.begin: the target of an unfinished resync, which is no image of any instant, does not durably say so. */
export function isMixture(world: CrashWorld, target: NodeName): boolean {
  const [alpha, beta] = [world.stored('alpha'), world.stored('beta')];
  if (!alpha || !beta || world.stored(target)?.metadata.state === 'inconsistent') return false;
  return differences(world, [alpha, beta]).some((at) => !isActive(alpha.metadata, at) && !isActive(beta.metadata, at));
}

/** Rules outdate, element.off and write.congested: what a node takes for durably behind, and goes on without, does not durably say so. */
export function isUnsaidBehind(world: CrashWorld, node: NodeName, { peerBehind, peerElement }: MirrorState): boolean {
  const stored = world.stored(other(node))?.metadata;
  return (
    (peerBehind || peerElement === 'outdated') && stored?.state === 'consistent' && stored.current === world.stored(node)?.metadata.base
  );
}

/** Where the extents of the mirror begin in which the elements differ. */
function differences(world: CrashWorld, stored: readonly Stored[]): readonly number[] {
  const { extentBytes, sizeBytes } = stored.map(({ metadata }) => metadata).reduce((a, b) => (b.sizeBytes > a.sizeBytes ? b : a));
  const [one, two] = [
    world.disk('alpha', 'element').contents.subarray(0, sizeBytes),
    world.disk('beta', 'element').contents.subarray(0, sizeBytes),
  ];
  const starts = Array.from({ length: Math.ceil(one.byteLength / extentBytes) }, (_, at) => at * extentBytes);
  return starts.filter((at) => Buffer.compare(one.subarray(at, at + extentBytes), two.subarray(at, at + extentBytes)) !== 0);
}

function isActive({ activeRegions }: Stored['metadata'], atBytes: number): boolean {
  return activeRegions.includes(Math.floor(atBytes / regionBytes));
}

/** What the element would say of itself after a start. */
function viewOf(world: CrashWorld, node: NodeName, { metadata, dirty }: Stored): LineageView {
  const blank = metadata.current === null;
  return {
    node,
    mirrorId: metadata.mirrorId,
    sizeBytes: blank ? null : metadata.sizeBytes,
    deviceBytes: world.disk(node, 'element').contents.byteLength,
    state: metadata.state,
    current: metadata.current,
    base: metadata.base,
    history: metadata.history,
    servedEpoch: metadata.servedEpoch,
    crashed: metadata.crashed || metadata.inUse,
    mayBeAhead: metadata.mayBeAhead,
    serving: false,
    dirtyExtents: blank ? 0 : dirty.count + metadata.activeRegions.length,
    resyncId: metadata.resyncId,
    gaveWayTo: metadata.gaveWay?.own === metadata.current ? metadata.gaveWay.to : null,
    discardable: false,
    behind: metadata.behind,
    through: null,
  };
}
