import type { MirrorCounters } from '../node/control-protocol.ts';
import { formatBytes, formatDuration, formatTable } from './table.ts';

/** What a mirror has counted: a table of its requests, then a line for each of its parts. */
export function countersView(mirror: string, counters: MirrorCounters | null): readonly string[] {
  if (!counters) return [`statistics of ${mirror}: its thread does not tell`];
  const { countedMs, queues, replication, ahead, resync, link, activityLog, refusedRequests } = counters;
  return [
    `statistics of ${mirror}, of the last ${formatDuration(countedMs)}; latencies in ms`,
    requestTable(counters),
    `  waiting: ${String(queues.inside)} requests, ${formatBytes(queues.windowBytes)} in the window, ${formatBytes(queues.resyncWindowBytes)} of resync, the peer behind by ${formatBytes(queues.lagBytes)}, unconfirmed for ${formatDuration(queues.unconfirmedMs)}; ${String(refusedRequests)} requests refused`,
    `  stream: ${String(replication.sentWrites)} writes with ${formatBytes(replication.sentBytes)} sent, ${String(replication.receivedWrites)} with ${formatBytes(replication.receivedBytes)} received`,
    `  ahead of the peer: ${String(ahead.times)} times, by ${formatBytes(ahead.bytes)}`,
    `  resync: ${String(resync.started)} begun, ${String(resync.finished)} finished, ${formatBytes(resync.sentBytes)} sent, ${formatBytes(resync.receivedBytes)} received`,
    `  link: ${String(link.connections)} connections, ${String(link.agreed)} agreed, ${String(link.lost)} lost, ${String(link.refused)} refused`,
    `  activity log: ${String(activityLog.regions)} of ${String(activityLog.capacity)} regions, ${String(activityLog.misses)} misses, ${String(activityLog.checkpoints)} checkpoints`,
  ];
}

function requestTable({ requests }: MirrorCounters): string {
  const heading = ['  ', 'done', 'bytes', 'errors', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'max'];
  const rows = Object.entries(requests).map(([kind, { requests: done, bytes, errors, latencyMs }]) => {
    const latencies = latencyMs ? [latencyMs.mean, latencyMs.p50, latencyMs.p90, latencyMs.p99, latencyMs.p999, latencyMs.max] : [];
    return [`  ${kind}`, String(done), formatBytes(bytes), String(errors), ...latencies.map((ms) => ms.toFixed(2))];
  });
  return formatTable([heading, ...rows]);
}
