import { formatEpoch } from '../../../epoch.ts';
import type { PairRecord } from '../../../failover/pair-record.ts';
import { nodeNames } from '../steps.ts';
import type { PairView, Watcher, WatcherFactory } from '../watcher.ts';
import { diagnose } from './diagnosis.ts';
import { isWhole } from './permitted-loss.ts';
import { sectorBytes } from './sectors.ts';

class Convergence implements Watcher {
  readonly invariant = 'convergence';
  readonly #mirrors: readonly string[];

  constructor({ mirrors }: Parameters<WatcherFactory>[0]) {
    this.#mirrors = mirrors;
  }

  conclude(view: PairView): string | null {
    const wrong = unlikeRecords(view) ?? serviceMissing(view) ?? this.#mirrorMissing(view);
    return wrong === null ? null : [wrong, ...diagnose(view)].join('\n  ');
  }

  #mirrorMissing(view: PairView): string | null {
    for (const mirror of this.#mirrors) {
      if (!isWhole(mirror, view)) return `${mirror} is not served by one node with an uptodate and connected element at the other`;
      const different = firstDifference(mirror, view);
      if (different !== null) return `the elements of ${mirror} differ at byte ${String(different)}`;
    }
    return null;
  }
}

function unlikeRecords(view: PairView): string | null {
  const [alpha, beta] = nodeNames.map((node) => view.nodes[node].failover?.record);
  if (!alpha || !beta) return 'a node has no pair record';
  const [mine, theirs] = [describeRecord(alpha), describeRecord(beta)];
  return mine === theirs ? null : `the pair records differ: ${mine} at alpha, ${theirs} at beta`;
}

/** What both must agree on; journals stay at home. */
function describeRecord({ epoch, homes, released, intent, conflict, control }: PairRecord): string {
  const open = [
    ...(released ? [`released ${formatEpoch(released)}`] : []),
    ...(intent ? [`intent ${formatEpoch(intent)}`] : []),
    ...(conflict ? [`conflict ${formatEpoch(conflict)}`] : []),
  ];
  return [`epoch ${formatEpoch(epoch)}`, `primary ${homes.primary}`, `control ${control.value} ${String(control.version)}`, ...open].join(
    ', ',
  );
}

function serviceMissing(view: PairView): string | null {
  const serving = nodeNames.filter((node) => view.nodes[node].running && view.nodes[node].failover?.serving === true);
  const [owner] = serving;
  if (serving.length !== 1 || !owner) return serving.length === 0 ? 'no node serves' : 'both nodes serve';
  const { owner: recorded, service } = view.nodes[owner].failover ?? { owner: '', service: 'stopped' };
  if (recorded !== owner) return `${owner} serves and the owner is ${recorded}`;
  return service === 'running' ? null : `${owner} serves and its service is ${service}`;
}

function firstDifference(mirror: string, view: PairView): number | null {
  const [alpha, beta] = nodeNames.map((node) => view.nodes[node].mirrors.get(mirror)?.element.contents ?? new Uint8Array());
  if (!alpha || !beta || Buffer.compare(alpha, beta) === 0) return null;
  const lengthBytes = Math.max(alpha.byteLength, beta.byteLength);
  for (let at = 0; at < lengthBytes; at += sectorBytes)
    if (Buffer.compare(alpha.subarray(at, at + sectorBytes), beta.subarray(at, at + sectorBytes)) !== 0) return at;
  return lengthBytes;
}

/** When faults have stopped the pair is whole again by itself: one node serves, and both hold the same. */
export const convergence: WatcherFactory = (context) => new Convergence(context);
