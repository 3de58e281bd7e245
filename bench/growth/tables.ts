import type { LargeElement } from '../measure-large-element.ts';
import { figure, markdownTable } from '../support/markdown.ts';
import type { DirtyCost } from './dirty-extents.ts';
import type { PairCost } from './pairs.ts';

const percent = (share: number): string => `${figure(share * 100)} %`;

/** How much of everything `what` there is, a row each. */
export function pairTable(what: string, costs: readonly PairCost[]): string {
  const rows = costs.map(({ count, perSecond, latency, cpuMicrosecondsPerWrite, idleCpu, peakMebibytes }) => [
    String(count),
    ...[perSecond, latency.p50, latency.p99, cpuMicrosecondsPerWrite].map(figure),
    percent(idleCpu),
    figure(peakMebibytes),
  ]);
  const head = ['writes a second', 'p50, µs', 'p99, µs', 'CPU µs a write', 'CPU while idle', 'most memory, MiB'];
  return markdownTable([what, ...head], rows);
}

/** By the size of the element, all of which is dirty. */
export function sizeTable(costs: readonly (LargeElement & { readonly gibibytes: number })[]): string {
  const rows = costs.map(({ gibibytes, createdMs, loadedMs, markedMs, stoppedMs, peakMebibytes }) => [
    figure(gibibytes),
    ...[Math.max(...createdMs), loadedMs, markedMs, stoppedMs, peakMebibytes].map(figure),
  ]);
  const head = ['created, ms', 'loaded, ms', 'all marked and durable, ms', 'stopped, ms', 'most memory, MiB'];
  return markdownTable(['GiB', ...head], rows);
}

/** By how much of one element is dirty. */
export function dirtyTable(costs: readonly DirtyCost[]): string {
  const rows = costs.map(({ extents, microsecondsPerWrite, loadedMs, startedMs, extentsPerSecond }) =>
    [extents, microsecondsPerWrite, loadedMs, startedMs, extentsPerSecond].map(figure),
  );
  return markdownTable(['dirty extents', 'µs a write', 'loaded, ms', 'resync begun, ms', 'extents compared a second'], rows);
}
