import type { TimelineEntry } from './entry.ts';
import { LinksLanes } from './link-lanes.ts';
import type { MarkKind } from './looks.ts';
import { markOf } from './marks.ts';
import type { TimelineGroup, TimelineLane, TimelineMark, TimelineModel } from './model.ts';
import { isFilled, laneOf } from './model.ts';
import type { Moment, Survey } from './moment.ts';
import { NodeLanes } from './node-lanes.ts';

const world = 'world';
/** What the world's lanes show, from top to bottom. Decisions without a node would be lost otherwise. */
const worldLanes: readonly (readonly [string, readonly MarkKind[]])[] = [
  ['invariants', ['broken']],
  ['faults', ['fault']],
  ['operator', ['order']],
  ['decisions', ['decision', 'refusal']],
];

/** Finds out what a timeline shows: the states that lasted, the requests, and the moments that matter. */
export function timelineModel(entries: readonly TimelineEntry[]): TimelineModel {
  const { axis, originMs, times } = axisOf(entries);
  const moments = entries.map((entry, index): Moment => ({ entry, index, atMs: times[index] ?? 0 })).sort(byTime);
  const startMs = moments[0]?.atMs ?? 0;
  const endMs = moments.at(-1)?.atMs ?? 0;
  const survey = surveyOf(entries);
  const links = new LinksLanes();
  const nodes = new Map<string, NodeLanes>();
  for (const name of nodeNamesOf(entries)) nodes.set(name, new NodeLanes(name, survey, (atMs) => links.unseen(name, atMs)));
  for (const moment of moments) {
    links.take(moment);
    if (!isOfWorld(moment.entry)) nodes.get(moment.entry.node)?.take(moment);
  }
  const groups: readonly TimelineGroup[] = [
    { title: world, lanes: lanesOfWorld(moments) },
    ...[...nodes.values()].map((node) => node.group(endMs)),
    { title: 'links', lanes: links.lanes(endMs) },
  ];
  return {
    axis,
    originMs,
    startMs: axis === 'virtual' ? Math.min(0, startMs) : startMs,
    endMs,
    times,
    groups: groups.filter(({ lanes }) => lanes.length > 0),
  };
}

function byTime(one: Moment, other: Moment): number {
  return one.atMs - other.atMs || one.index - other.index;
}

/** Faults and orders are of the world, whichever node they befall. */
function isOfWorld(entry: TimelineEntry): boolean {
  if (entry.node === world) return true;
  const kind = markOf(entry);
  return kind === 'fault' || kind === 'order' || kind === 'broken';
}

function lanesOfWorld(moments: readonly Moment[]): readonly TimelineLane[] {
  const marks = moments
    .filter(({ entry }) => isOfWorld(entry))
    .flatMap(({ entry, index, atMs }): readonly TimelineMark[] => {
      const kind = markOf(entry);
      return kind === null ? [] : [{ atMs, kind, entry: index }];
    });
  return worldLanes
    .map(([label, kinds]) => laneOf(label, 'marks', { marks: marks.filter(({ kind }) => kinds.includes(kind)) }))
    .filter(isFilled);
}

/** Virtual time where every entry has it; otherwise wall time from the first entry. An entry whose time cannot be read stands where the one before it does. */
function axisOf(entries: readonly TimelineEntry[]): Pick<TimelineModel, 'axis' | 'originMs' | 'times'> {
  const virtual = entries.map((entry) => (entry as { readonly atMs?: unknown }).atMs);
  if (virtual.every((atMs) => typeof atMs === 'number' && Number.isFinite(atMs))) {
    return { axis: 'virtual', originMs: 0, times: virtual as number[] };
  }
  const walls = entries.map(({ time }) => Date.parse(time));
  const readable = walls.filter(Number.isFinite);
  const originMs = readable.reduce((earliest, one) => Math.min(earliest, one), readable[0] ?? 0);
  let before = originMs;
  const times = walls.map((wall) => {
    before = Number.isFinite(wall) ? wall : before;
    return before - originMs;
  });
  return { axis: 'wall', originMs, times };
}

function nodeNamesOf(entries: readonly TimelineEntry[]): readonly string[] {
  return [...new Set(entries.map(({ node }) => node))].filter((node) => node !== world).sort();
}

function surveyOf(entries: readonly TimelineEntry[]): Survey {
  const told = new Set<string>();
  const toldMirrors = new Set<string>();
  const mirrors = new Map<string, Set<string>>();
  for (const { node, event, mirror } of entries) {
    if (event === 'node:state') told.add(node);
    if (mirror === undefined) continue;
    if (event === 'mirror:state') toldMirrors.add(`${node}/${mirror}`);
    mirrors.set(node, (mirrors.get(node) ?? new Set()).add(mirror));
  }
  return { told, toldMirrors, mirrors: new Map([...mirrors].map(([node, names]) => [node, [...names].sort()])) };
}
