import { regionBytes } from '../../../src/mirror/activity-log.ts';
import { readElementImage } from '../../../src/mirror/element-store.ts';
import { decideSync } from '../../../src/mirror/lineage.ts';
import type { LineageView } from '../../../src/mirror/lineage.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import { sectorBytes } from './crash-disk.ts';
import type { CrashWorld } from './crash-world.ts';

type Stored = NonNullable<ReturnType<typeof readElementImage>>;

/**
 * Rule write.intent on what both nodes' disks hold now: where the elements differ, the next handshake either copies all, or a dirty bit or an entry of the
 * activity log on at least one node says so. Null where that holds, else what is wrong.
 */
export function unsaidDifference(world: CrashWorld): string | null {
  const [alpha, beta] = [stored(world, 'alpha'), stored(world, 'beta')];
  if (!alpha || !beta) return null;
  const decision = decideSync(viewOf(world, 'alpha', alpha), viewOf(world, 'beta', beta));
  if (decision.kind === 'refuse' && decision.outcome !== 'standalone') return `the elements are ${decision.outcome}: ${decision.because}`;
  if (decision.kind === 'sync' && decision.scope === 'full') return null;
  if (decision.kind === 'refuse' && (decision.rule === 'lineage.blank' || decision.rule === 'lineage.source')) return null;
  const [one, two] = [world.disk('alpha', 'element').contents, world.disk('beta', 'element').contents];
  const { extentBytes } = alpha.dirty;
  for (let at = 0; at < one.byteLength; at += extentBytes) {
    if (Buffer.compare(one.subarray(at, at + extentBytes), two.subarray(at, at + extentBytes)) === 0) continue;
    const said = [alpha, beta].some(({ dirty, metadata }) => {
      return metadata.current !== null && (dirty.has(at / extentBytes) || metadata.activeRegions.includes(Math.floor(at / regionBytes)));
    });
    if (!said)
      return `the elements differ in the extent at ${String(at)} and nothing durable says so (write.intent); the next handshake: ${decision.because}`;
  }
  return null;
}

function stored(world: CrashWorld, node: NodeName): Stored | null {
  return readElementImage(world.disk(node, 'metadata').contents, sectorBytes);
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
  };
}
