import type { FileAddress, FileConfig, FileExport, Problem, TlsFiles } from './config-schema.ts';
import { formatPath } from './config-schema.ts';
import type { LinkAddress } from './link-address.ts';
import { defaultResyncRate } from '../mirror/resync-rate.ts';
import { parseNetDiskUri } from '../net-disk/net-disk-address.ts';
import { exposureProblem } from '../net-disk/net-disk-tls.ts';
import { exportClashes } from './export-places.ts';
import { isNetDiskUri } from './link-address.ts';
import { dialNeedsMs, writeNeedsMs } from './link-pace.ts';
import type { LinkPace } from './link-pace.ts';
import { linkScheme, schemeOf } from './link-schemes.ts';

/** The sections of the file that are well-formed in themselves; a rule that needs another one is not judged. */
export type Sections = Partial<FileConfig>;

type Path = readonly PropertyKey[];
type Report = (path: Path, problem: string) => void;

/** The initial grace and the deadline count at least this many of what they wait for (rules `timing.deadline`, `timing.grace`). */
const leastIntervalsPerDeadline = 2;
const leastDeadlinesPerGrace = 2;

/** What a resync never falls below unless it is configured otherwise. */
const { minBytesPerSecond: defaultMinBytesPerSecond } = defaultResyncRate;

const directProblem = 'is for a file or block device; leave it out: how an NBD server uses its disk is set at that server';

/** Judges everything that concerns more than one field. Pure. */
export function crossFieldProblems(file: Sections): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, problem) => problems.push({ path: formatPath(path), problem });
  judgeNodes(file, report);
  judgeMirrors(file, report);
  judgeMonitor(file, report);
  judgeFailover(file, report);
  judgeAddresses(file, report);
  judgeSlowLinks(file, report);
  judgeLinkTls(file, report);
  judgeExports(file, report);
  for (const { path, problem } of exportClashes(file, allLinks(file))) report(path, problem);
  return problems;
}

function judgeNodes({ nodes }: Sections, report: Report): void {
  if (!nodes) return;
  const entries = Object.entries(nodes);
  if (entries.length !== 2) report(['nodes'], 'must be exactly two');
  for (const home of ['primary', 'standby'] as const) {
    if (entries.filter(([, node]) => node.home === home).length !== 1) report(['nodes'], `must have exactly one with home "${home}"`);
  }
  if (Object.hasOwn(nodes, 'name')) report(['nodes', 'name'], 'a node cannot be called "name"');
}

function judgeMirrors({ nodes, mirrors = [] }: Sections, report: Report): void {
  for (const [index, { resync, protocol, whenCongested }] of mirrors.entries()) {
    if (whenCongested !== 'block' && protocol !== 'async')
      report(['mirrors', index, 'whenCongested'], `"${whenCongested}" needs protocol "async"`);
    const least = resync.minBytesPerSecond ?? defaultMinBytesPerSecond;
    if (resync.maxBytesPerSecond !== undefined && resync.maxBytesPerSecond < least)
      report(['mirrors', index, 'resync', 'maxBytesPerSecond'], `must be at least minBytesPerSecond (${String(least)})`);
  }
  for (const [index, { elements }] of mirrors.entries())
    for (const [node, { device, direct }] of Object.entries(elements))
      if (direct && isNetDiskUri(device)) report(['mirrors', index, 'elements', node, 'direct'], directProblem);
  judgeUnique(
    mirrors.map(({ name }, index) => [['mirrors', index, 'name'], name] as const),
    report,
  );
  if (!nodes) return;
  mirrors.forEach((mirror, index) => {
    judgeKeys(mirror.elements, nodes, ['mirrors', index, 'elements'], true, report);
    judgeKeys(mirror.dataLink, nodes, ['mirrors', index, 'dataLink'], true, report);
    if (mirror.undoJournal) judgeKeys(mirror.undoJournal, nodes, ['mirrors', index, 'undoJournal'], false, report);
    if (mirror.export) judgeKeys(mirror.export, nodes, ['mirrors', index, 'export'], false, report);
  });
  for (const node of Object.keys(nodes)) {
    const devices = mirrors.flatMap(({ elements }, index) => {
      const element = own(elements, node);
      return element ? [[['mirrors', index, 'elements', node, 'device'], element.device] as const] : [];
    });
    judgeUnique(devices, report);
  }
}

function judgeMonitor({ nodes, monitor }: Sections, report: Report): void {
  if (!monitor) return;
  const { intervalMs, deadlineMs, initialGraceMs, leaseMs, detector, maxDeadlineMs, links } = monitor;
  if (deadlineMs < leastIntervalsPerDeadline * intervalMs) report(['monitor', 'deadlineMs'], 'must be at least 2 × intervalMs');
  if (initialGraceMs !== undefined && initialGraceMs < leastDeadlinesPerGrace * deadlineMs) {
    report(['monitor', 'initialGraceMs'], 'must be at least 2 × deadlineMs');
  }
  if (leaseMs !== undefined && leaseMs >= deadlineMs) report(['monitor', 'leaseMs'], 'must be less than deadlineMs');
  if (maxDeadlineMs !== undefined && detector === 'deadline')
    report(['monitor', 'maxDeadlineMs'], 'is for detector "phi-accrual" or "chen"; "deadline" bears deadlineMs');
  else if (maxDeadlineMs !== undefined && maxDeadlineMs < deadlineMs) report(['monitor', 'maxDeadlineMs'], 'must be at least deadlineMs');
  judgeUnique(
    links.map(({ name }, index) => [['monitor', 'links', index, 'name'], name] as const),
    report,
  );
  if (!nodes) return;
  links.forEach((link, index) => judgeKeys(linkAddresses(link), nodes, ['monitor', 'links', index], true, report));
}

function judgeFailover({ failover }: Sections, report: Report): void {
  if (!failover) return;
  if (failover.whenAlone === 'arbiter' && !failover.arbiter) report(['failover', 'whenAlone'], '"arbiter" needs failover.arbiter');
  if (failover.platform.kind !== 'command') return;
  for (const [step, command] of Object.entries(failover.platform.commands)) {
    if (command.deadlineMs === undefined || command.deadlineMs <= failover.stepDeadlineMs) continue;
    report(['failover', 'platform', 'commands', step, 'deadlineMs'], 'must be at most failover.stepDeadlineMs');
  }
}

/** Rule `trust`, and that no two links of one node stand in the same place, nor anybody in a place that both nodes share. */
function judgeAddresses(file: Sections, report: Report): void {
  const { nodes, auth } = file;
  const sharedPlaces: (readonly [Path, string])[] = [];
  const all = allLinks(file);
  for (const node of Object.keys(nodes ?? {})) {
    const listeners: (readonly [Path, string])[] = [];
    for (const [link, addresses] of all) {
      const written = own(addresses, node);
      if (written === undefined) continue;
      const path: Path = [...link, node];
      const { listen, advertise } = bothAddresses(written);
      const scheme = linkScheme(listen);
      (scheme.shared ? sharedPlaces : listeners).push([path, scheme.place(listen)]);
      if (!auth && ![listen, advertise].every((url) => linkScheme(url).local(url)))
        report(path, 'beyond loopback needs auth.keyFile (rule trust)');
      if (!scheme.dialled && typeof written !== 'string') report(path, 'must be a URL: each node opens its own end');
    }
    judgeUnique(listeners, report);
  }
  judgeUnique(sharedPlaces, report, ': each end of each link takes an id of its own');
  for (const [path, addresses] of all) judgeEnds(addresses, path, report);
  file.mirrors?.forEach(({ dataLink }, index) => judgeDataLink(dataLink, ['mirrors', index, 'dataLink'], report));
}

function judgeDataLink(addresses: Readonly<Record<string, FileAddress>>, path: Path, report: Report): void {
  for (const [node, written] of Object.entries(addresses)) {
    const { listen, advertise } = bothAddresses(written);
    const slow = [listen, advertise].find((url) => !linkScheme(url).bulk);
    if (slow !== undefined) report([...path, node], `${schemeOf(slow)} is for tokens only; a data link needs tcp://host:port`);
  }
}

/** Both ends of a link are of one kind, and fit together. */
function judgeEnds(addresses: Readonly<Record<string, FileAddress>>, path: Path, report: Report): void {
  const [first, ...rest] = Object.entries(addresses).map(([node, written]) => ({ node, ...bothAddresses(written) }));
  if (!first) return;
  for (const { node, listen, advertise } of rest) {
    const alike = [listen, advertise, first.advertise].every((url) => schemeOf(url) === schemeOf(first.listen));
    const problem = alike ? linkScheme(listen).misfit(listen, first.listen) : 'must be of the same kind at both ends';
    if (problem !== null) report([...path, node], problem);
  }
}

/** A link that is too slow for the deadline never connects, or loses its connection by each long message. */
function judgeSlowLinks(file: Sections, report: Report): void {
  const { monitor, mirrors = [] } = file;
  if (!monitor) return;
  const { deadlineMs } = monitor;
  const judge = (addresses: Readonly<Record<string, FileAddress>>, neededMs: (pace: LinkPace) => number, why: string): void => {
    for (const written of Object.values(addresses)) {
      const { listen } = bothAddresses(written);
      const pace = linkScheme(listen).pace(listen, deadlineMs);
      const leastMs = pace === null ? 0 : neededMs(pace);
      if (deadlineMs < leastMs) report(['monitor', 'deadlineMs'], `must be at least ${String(leastMs)} with ${listen}: ${why}`);
    }
  };
  for (const [, addresses] of allLinks(file)) judge(addresses, dialNeedsMs, 'such a link needs half of it to connect');
  for (const { dataLink } of mirrors) judge(dataLink, writeNeedsMs, 'a write of 1 MiB passes in one piece, within half of it');
}

/** Both nodes of a link speak TLS, in the same way, or neither does. */
function judgeLinkTls(file: Sections, report: Report): void {
  for (const [link, addresses] of allLinks(file)) {
    const kinds = Object.entries(addresses).map(([node, written]) => [node, tlsKind(written)] as const);
    const wanted = kinds.find(([, kind]) => kind !== null);
    for (const [node, kind] of wanted ? kinds : [])
      if (kind !== wanted?.[1]) report([...link, node, 'tls'], `must be of the same kind as that of ${String(wanted?.[0])}`);
  }
}

function tlsKind(written: FileAddress): 'certificates' | 'keys' | null {
  if (typeof written === 'string' || !written.tls) return null;
  return 'pskFile' in written.tls ? 'keys' : 'certificates';
}

/** The links with their addresses by node, and where they stand in the file. */
function allLinks({ mirrors = [], monitor }: Sections): (readonly [Path, Readonly<Record<string, FileAddress>>])[] {
  return [
    ...mirrors.map(({ dataLink }, index) => [['mirrors', index, 'dataLink'], dataLink] as const),
    ...(monitor?.links ?? []).map((link, index) => [['monitor', 'links', index], linkAddresses(link)] as const),
  ];
}

/** Rule `trust`: what others than this machine can reach is for clients that prove who they are, and nobody else reads along. */
function judgeExports({ mirrors = [] }: Sections, report: Report): void {
  for (const [index, mirror] of mirrors.entries())
    for (const [node, written] of Object.entries(mirror.export ?? {})) {
      const { uri, tls } = uriAndTls(written);
      const { address, tls: forced } = parseNetDiskUri(uri);
      const path: Path = ['mirrors', index, 'export', node];
      if (forced && !tls) report(path, 'nbds needs { "uri": URI, "tls": FILES }');
      const clientsProven = tls !== null && ('pskFile' in tls || tls.caFile !== undefined);
      const exposed = exposureProblem(address, { mode: forced ? 'required' : 'optional', clientsProven });
      if (exposed !== null) report(path, `${exposed} (rule trust)`);
    }
}

/** An export that is written as one URI speaks no TLS. */
export function uriAndTls(written: string | FileExport): { readonly uri: string; readonly tls: TlsFiles | null } {
  return typeof written === 'string' ? { uri: written, tls: null } : written;
}

function judgeKeys(keyed: object, nodes: object, path: Path, all: boolean, report: Report): void {
  for (const key of Object.keys(keyed)) if (!Object.hasOwn(nodes, key)) report([...path, key], 'no such node');
  if (!all) return;
  for (const node of Object.keys(nodes)) if (!Object.hasOwn(keyed, node)) report([...path, node], 'is required');
}

function judgeUnique(values: readonly (readonly [Path, string])[], report: Report, because = ''): void {
  const first = new Map<string, Path>();
  for (const [path, value] of values) {
    const earlier = first.get(value);
    if (earlier) report(path, `the same as ${formatPath(earlier)}${because}`);
    else first.set(value, path);
  }
}

/** The addresses of a monitor link, which stand beside its name. */
export function linkAddresses(link: FileConfig['monitor']['links'][number]): Record<string, FileAddress> {
  return Object.fromEntries(Object.entries(link).filter(([key]) => key !== 'name'));
}

/** What is written as one URL is listened on and dialled. */
export function bothAddresses(written: FileAddress): LinkAddress {
  return typeof written === 'string'
    ? { listen: written, advertise: written }
    : { ...written, advertise: written.advertise ?? written.listen };
}

function own<Value>(keyed: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(keyed, key) ? keyed[key] : undefined;
}
