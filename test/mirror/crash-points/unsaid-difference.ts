import { regionBytes } from '../../../src/mirror/activity-log.ts';
import type { readElementImage } from '../../../src/mirror/element-store.ts';
import { decideSync } from '../../../src/mirror/lineage.ts';
import type { LineageView } from '../../../src/mirror/lineage.ts';
import type { NodeName } from '../support/mirror-pair.ts';
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
  if (decision.kind === 'refuse' && decision.outcome !== 'standalone') return `the elements are ${decision.outcome}: ${decision.because}`;
  if (decision.kind === 'sync' && decision.scope === 'full') return null;
  if (decision.kind === 'refuse' && (decision.rule === 'lineage.blank' || decision.rule === 'lineage.source')) return null;
  const maps = [alpha, beta].filter(({ metadata }) => metadata.current !== null);
  for (const at of differences(world, alpha.dirty.extentBytes)) {
    const said = maps.some(({ dirty, metadata }) => dirty.has(at / dirty.extentBytes) || isActive(metadata, at));
    if (said) continue;
    return `the elements differ in the extent at ${String(at)} and nothing durable says so (write.intent); the next handshake: ${decision.because}`;
  }
  return null;
}

/** Rule resync.begin: the target of an unfinished resync, which is no image of any instant, does not durably say so. */
export function isMixture(world: CrashWorld, target: NodeName): boolean {
  const [alpha, beta] = [world.stored('alpha'), world.stored('beta')];
  if (!alpha || !beta || world.stored(target)?.metadata.state === 'inconsistent') return false;
  return differences(world, alpha.dirty.extentBytes).some((at) => !isActive(alpha.metadata, at) && !isActive(beta.metadata, at));
}

/** Where the extents begin in which the elements differ. */
function differences(world: CrashWorld, extentBytes: number): readonly number[] {
  const [one, two] = [world.disk('alpha', 'element').contents, world.disk('beta', 'element').contents];
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
    gaveWayTo: null,
    discardable: false,
    behind: metadata.behind,
    through: null,
  };
}
