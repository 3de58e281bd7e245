import type { ResyncProgress } from '../failover/ports.ts';
import type { PairConfig } from '../node/config.ts';
import { peerOf, uriFromAnywhere } from '../node/config.ts';
import type { Blocked, LinkQuality, LinkStatus, MirrorStatus, NodeStatus, ProbeReport, VerifyStatus } from '../node/control-protocol.ts';
import { pairWarnings, warningLines, warningsOf } from '../node/warnings.ts';
import { countersView } from './counters-view.ts';
import { remedyOfRule } from './refusal.ts';
import { formatBytes, formatDuration, formatTable } from './table.ts';

const boxWidth = 30;
const middleWidth = 17;

/** The pair as two boxes, the home primary on the left, with the links between them and what is wrong below. */
export function statusView(status: NodeStatus, config: PairConfig): string {
  const peer = peerOf(config, status.node);
  const own = box(status.node, status.home, [
    status.serving ? (status.blockedBy.length > 0 ? 'serving, requests wait' : 'serving') : 'passive',
    ...status.mirrors.map((mirror) => elementLine(mirror, mirror.element)),
  ]);
  const otherHome = status.home === 'primary' ? 'standby' : 'primary';
  const other = box(peer, otherHome, [status.monitor.peer, ...status.mirrors.map((mirror) => elementLine(mirror, mirror.peerElement))]);
  const ownIsLeft = status.home === 'primary';
  const middle = ['', '', ...status.mirrors.map((mirror) => arrow(mirror, ownIsLeft))];
  const [left, right] = ownIsLeft ? [own, other] : [other, own];
  const picture = left.map((line, index) => `${line}${(middle[index] ?? '').padEnd(middleWidth)}${right[index] ?? ''}`);
  const heading = `${config.pair}: ${status.mode} mode, epoch ${String(status.epoch)}, control ${status.control}, as ${status.node} sees it`;
  return [heading, ...picture, monitorLine(status), linkTable(status.monitor.links), ...findings(status, config)].join('\n');
}

/** How far a resync is, in one line. */
export function resyncLine(mirror: string, { doneBytes, totalBytes, bytesPerSecond, remainingMs }: ResyncProgress): string {
  const percent = totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes);
  const remaining = remainingMs === null ? '' : `, ${formatDuration(remainingMs)} left`;
  const amount = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  return `resync ${mirror}: ${String(percent)} %, ${amount}, ${formatBytes(Math.round(bytesPerSecond))}/s${remaining}`;
}

function box(node: string, home: 'primary' | 'standby', lines: readonly string[]): string[] {
  const title = ` ${home === 'primary' ? 'Primary' : 'Standby'}: ${node} `;
  const inner = boxWidth - 2;
  const row = (text: string): string => `│ ${text.slice(0, inner - 2).padEnd(inner - 2)} │`;
  return [`┌${title.slice(0, inner).padEnd(inner, '─')}┐`, ...lines.map(row), `└${'─'.repeat(inner)}┘`];
}

function elementLine({ name }: MirrorStatus, element: string): string {
  return `${name}  ${element}`;
}

function arrow({ role, connection }: MirrorStatus, ownIsLeft: boolean): string {
  if (connection !== 'connected') return ` ··${connection}·· `;
  if (role === 'none') return ' ─────────────── ';
  return (role === 'source') === ownIsLeft ? ' ══════════════▶ ' : ' ◀══════════════ ';
}

function monitorLine({ monitor }: NodeStatus): string {
  const pauses = monitor.pauses?.map(({ because, remainingMs }) =>
    remainingMs === null ? because : `${because}, ${formatDuration(remainingMs)} more`,
  );
  const times =
    monitor.times &&
    `interval ${formatDuration(monitor.times.intervalMs)} and deadline ${formatDuration(monitor.times.deadlineMs)}, not as configured`;
  return [`monitor ${monitor.state}${pauses ? ` (${pauses.join('; ')})` : ''}`, `peer ${monitor.peer}`, ...(times ? [times] : [])].join(
    ', ',
  );
}

function linkTable(links: readonly LinkStatus[]): string {
  return formatTable(
    links.map(({ name, state, lastSeenMs, rttMs, lastError, quality }) => [
      `  ${name}`,
      state,
      lastSeenMs === null ? 'never seen' : `seen ${formatDuration(lastSeenMs)} ago`,
      lastError ?? (rttMs === null ? '' : `round trip ${rttMs.toFixed(1)} ms`),
      ...(quality ? qualityCells(quality) : []),
    ]),
  );
}

function qualityCells({ roundTripMs, unanswered, missing }: LinkQuality): readonly string[] {
  const trips = roundTripMs
    ? `p50 ${roundTripMs.p50.toFixed(1)}, p99 ${roundTripMs.p99.toFixed(1)}, jitter ${roundTripMs.jitter.toFixed(1)} ms`
    : '';
  const lost = ({ lost: count, tokens }: LinkQuality['missing']): string => `${String(count)} of ${String(tokens)}`;
  return [trips, `tokens lost ${lost(missing)}, unanswered ${lost(unanswered)}`];
}

function verifyLine(mirror: string, { lastFinished, nextDue, waitsFor }: VerifyStatus): string {
  const next = nextDue === null ? '' : `, next due ${nextDue}${waitsFor === undefined ? '' : `, waits: ${waitsFor}`}`;
  return `verify of ${mirror}: ${lastFinished === null ? 'none has finished here' : `last finished ${lastFinished}`}${next}`;
}

function healthLines({ node, health = [], peerHealth = [] }: NodeStatus, peer: string): string[] {
  const line = (of: string, { name, state, text }: ProbeReport, since = ''): string =>
    `health of ${of}: ${name} ${state}${since}${text === undefined ? '' : `: ${text}`}`;
  return [
    ...health.map((probe) => line(node, probe, ` for ${formatDuration(probe.sinceMs)}`)),
    ...peerHealth.map((probe) => line(peer, probe)),
  ];
}

function splitLine(mirror: string): string {
  return `split brain of ${mirror}: ${remedyOfRule('lineage.split') ?? ''}`;
}

function blockLines({ rule, because }: Blocked): string[] {
  const remedy = remedyOfRule(rule);
  return [`blocked by ${rule}: ${because}`, ...(remedy === undefined ? [] : [`  remedy: ${remedy}`])];
}

/** The URI of a mirror's export as it can be used in any folder; that of the status counts from the folder of the configuration. */
function exportUri({ name, export: uri }: MirrorStatus, { node }: NodeStatus, config: PairConfig): string {
  const configured = config.mirrors.find((mirror) => mirror.name === name)?.export[node];
  return uri === null ? '' : `, ${configured?.uri === uri ? uriFromAnywhere(configured) : uri}`;
}

function findings(status: NodeStatus, config: PairConfig): string[] {
  const lines = status.mirrors.flatMap((mirror) => [
    `mirror ${mirror.name}: ${formatBytes(mirror.sizeBytes)}, ${mirror.connection}, ${formatBytes(mirror.dirtyBytes)} dirty${exportUri(mirror, status, config)}`,
    ...(mirror.resync ? [resyncLine(mirror.name, mirror.resync)] : []),
    ...(mirror.resyncPaused === undefined ? [] : [`resyncs of ${mirror.name} stand still: ${mirror.resyncPaused}`]),
    ...(mirror.findingBytes === undefined ? [] : [`verify of ${mirror.name}: ${formatBytes(mirror.findingBytes)} differ`]),
    ...(mirror.protocol === undefined ? [] : [`${mirror.name} completes requests by ${mirror.protocol}, not as the configuration says`]),
    ...(mirror.verify === undefined ? [] : [verifyLine(mirror.name, mirror.verify)]),
    ...(mirror.counters === undefined ? [] : countersView(mirror.name, mirror.counters)),
  ]);
  lines.push(...healthLines(status, peerOf(config, status.node)));
  // A node of an earlier version tells no warnings.
  lines.push(...(status.warnings ?? warningsOf(status)).flatMap(warningLines));
  const split = status.mirrors.filter(({ connection }) => connection === 'split-brain').map(({ name }) => splitLine(name));
  if (!status.blockedBy.some(({ rule }) => rule === 'boot.conflict')) lines.push(...split);
  lines.push(...status.blockedBy.flatMap(blockLines));
  lines.push(...pairWarnings(status.control, config).flatMap(warningLines));
  return lines;
}
