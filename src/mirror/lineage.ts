import type { Rule } from '../rules.ts';
import type { ElementState, SplitEvidence } from './state.ts';

/**
 * What one side brings to the handshake: all that a decision may look at. Plain data; it crosses the wire.
 */
export interface LineageView {
  readonly node: string;
  /** The mirror this element belongs to; null for a blank element. */
  readonly mirrorId: string | null;
  /** Size of the mirror; null for a blank element. */
  readonly sizeBytes: number | null;
  /** How large a mirror the element can hold: the size of its device, as far as its metadata has room for it. */
  readonly deviceBytes: number;
  readonly state: ElementState;
  /** The current generation; null for a blank element. */
  readonly current: string | null;
  /** The generation that the dirty map is relative to; null when both elements were last known equal. */
  readonly base: string | null;
  /** Earlier generations, newest first. */
  readonly history: readonly string[];
  /** Number of the epoch in which this element was last served. */
  readonly servedEpoch: number;
  /** It may hold writes that were completed by protocol `async` and never reached the other element. */
  readonly mayBeAhead: boolean;
  /** It was in use when its node went down, and no resync has settled that yet. */
  readonly crashed: boolean;
  /** Its node serves this mirror now. */
  readonly serving: boolean;
  /** Extents in its dirty map, the activity log included. */
  readonly dirtyExtents: number;
  /** The full copy that this element is part of, as source or target; null when none is unfinished. */
  readonly resyncId: string | null;
  /** Its node serves through the peer's element alone, its own having failed: the generation that the peer must hold for that; null otherwise. */
  readonly through: string | null;
  /** An operator's word: it gives way to the element that holds this generation, or one that descends from it (rule lineage.resolve). */
  readonly gaveWayTo: string | null;
  /** It was rolled back behind what its generation once was. */
  readonly behind: boolean;
  /** It holds what it held before it was alone, and may give way by itself (rule lineage.unchanged). */
  readonly discardable: boolean;
}

/** How much is copied. */
export type CopyScope = 'nothing' | 'union' | 'full';

/** What both sides do after the handshake. */
export type SyncDecision =
  | {
      readonly kind: 'sync';
      readonly source: string;
      readonly target: string;
      readonly scope: CopyScope;
      readonly rule: Rule;
      readonly because: string;
    }
  | {
      readonly kind: 'refuse';
      readonly outcome: 'split-brain' | 'unrelated' | 'standalone';
      readonly rule: Rule;
      readonly because: string;
    };

const refuse = (outcome: 'split-brain' | 'unrelated' | 'standalone', rule: Rule, because: string): SyncDecision => ({
  kind: 'refuse',
  outcome,
  rule,
  because,
});

const unusable = (view: LineageView): boolean => view.state === 'inconsistent' || view.state === 'failed' || view.state === 'off';

/**
 * Rule lineage.decide: who copies what to whom. A pure function of both views and symmetric: it gives the same
 * decision whichever side is named first, so both nodes compute the same one.
 */
export function decideSync(a: LineageView, b: LineageView): SyncDecision {
  // An order that both sides agree on makes the function symmetric by construction.
  const [first, second] = a.node < b.node ? [a, b] : [b, a];
  const through = serveThrough(first, second) ?? serveThrough(second, first);
  if (through) return through;
  const decision = chooseDirection(first, second);
  if (decision.kind === 'refuse') return decision;
  const [source, target] = decision.source === first.node ? [first, second] : [second, first];
  if (unusable(source)) {
    return refuse('standalone', 'lineage.source', `${source.node} would be the source, but its element is ${source.state}`);
  }
  if (target.state === 'failed' || target.state === 'off') {
    return refuse('standalone', 'lineage.source', `the element of ${target.node} is ${target.state}`);
  }
  if (target.serving) return refuse('standalone', 'lineage.serving', `${target.node} serves and would be the target`);
  const sizeBytes = source.sizeBytes ?? 0;
  for (const view of [source, target]) {
    if (view.deviceBytes < sizeBytes) {
      return refuse(
        'standalone',
        'lineage.size',
        `the element of ${view.node} has ${String(view.deviceBytes)} bytes, the mirror ${String(sizeBytes)}`,
      );
    }
  }
  return decision;
}

/**
 * Whether the other element, which has failed or was taken out, would be the target if it could: then it cannot take over, and the own node may go on without it (rule
 * alone).
 */
export function isOutAndBehind(mine: LineageView, theirs: LineageView): boolean {
  if (theirs.state !== 'failed' && theirs.state !== 'off') return false;
  const decision = decideSync(mine, { ...theirs, state: 'inconsistent' });
  return decision.kind === 'sync' && decision.source === mine.node;
}

/**
 * Rule write.error: a node that serves without an element of its own goes on through the peer's, where that still holds what was completed through it, and is
 * nobody's own service. Nothing is copied. Null where `diskless` is no such node; whatever does not fit is refused, for its requests are in nobody else's hands.
 */
function serveThrough(diskless: LineageView, holder: LineageView): SyncDecision | null {
  if (diskless.through === null || !diskless.serving || !(diskless.state === 'failed' || diskless.state === 'off')) return null;
  const { node } = holder;
  if (holder.serving) return refuse('standalone', 'lineage.serving', `${node} serves too`);
  if (holder.state !== 'uptodate' && holder.state !== 'consistent')
    return refuse('standalone', 'lineage.source', `${diskless.node} serves through ${node}, whose element is ${holder.state}`);
  if (holder.mirrorId !== diskless.mirrorId || holder.current !== diskless.through)
    return refuse('standalone', 'write.error', `${node} does not hold what ${diskless.node} served through it`);
  return sync(diskless, holder, 'nothing', 'write.error', `${diskless.node} serves through ${node}`);
}

function chooseDirection(a: LineageView, b: LineageView): SyncDecision {
  if (a.current === null || b.current === null) return fillBlank(a, b);
  if (a.mirrorId !== b.mirrorId) return refuse('unrelated', 'lineage.unrelated', 'the elements belong to different mirrors');
  if (a.current === b.current) return chooseAmongEquals(a, b);
  return chooseByAncestry(a, b);
}

/** What an operator must decide before anything is copied; null where a word would not help. */
export function splitOf({ rule }: SyncDecision, views: readonly LineageView[]): SplitEvidence | null {
  if (rule !== 'lineage.split' && rule !== 'lineage.direction') return null;
  return { rule, judged: Object.fromEntries(views.map(({ node, current }) => [node, current ?? ''])) };
}

function fillBlank(a: LineageView, b: LineageView): SyncDecision {
  if (a.current === null && b.current === null) return refuse('standalone', 'lineage.blank', 'both elements are blank');
  const [source, target] = a.current === null ? [b, a] : [a, b];
  return begun(source, target) ?? sync(source, target, 'full', 'lineage.fill', `the element of ${target.node} is blank`);
}

/** Equal currents: nobody completed anything alone (row 3 of lineage.decide). */
function chooseAmongEquals(a: LineageView, b: LineageView): SyncDecision {
  const scope: CopyScope = a.dirtyExtents + b.dirtyExtents === 0 && !unusable(a) && !unusable(b) ? 'nothing' : 'union';
  const rule: Rule = 'lineage.equal';
  if (unusable(a) !== unusable(b)) {
    const [source, target] = unusable(a) ? [b, a] : [a, b];
    return sync(source, target, scope, rule, `the element of ${target.node} is ${target.state}`);
  }
  if (a.behind !== b.behind) {
    const [source, target] = a.behind ? [b, a] : [a, b];
    return sync(source, target, scope, rule, `${target.node} was rolled back`);
  }
  // By async the side that was served last may be ahead of the other, whichever crashed. What is left of an earlier epoch says nothing: while both are equal
  // the service goes from one side to the other only when nothing is on its way.
  const ahead = (a.mayBeAhead && a.servedEpoch >= b.servedEpoch) || (b.mayBeAhead && b.servedEpoch >= a.servedEpoch);
  if (a.crashed !== b.crashed && !ahead) {
    const [source, target] = a.crashed ? [b, a] : [a, b];
    return sync(source, target, scope, rule, `only ${target.node} crashed`);
  }
  if (a.serving !== b.serving && !a.crashed && !ahead) {
    const [source, target] = a.serving ? [a, b] : [b, a];
    return sync(source, target, scope, rule, `${source.node} serves`);
  }
  if (a.servedEpoch !== b.servedEpoch) {
    const [source, target] = a.servedEpoch > b.servedEpoch ? [a, b] : [b, a];
    return sync(source, target, scope, rule, `${source.node} served last, in epoch ${String(source.servedEpoch)}`);
  }
  if (scope !== 'nothing')
    return giveWay(
      a,
      b,
      neverServed(a, b) ?? refuse('standalone', 'lineage.direction', 'both elements were last served in the same epoch'),
    );
  const [source, target] = b.serving ? [b, a] : [a, b];
  return sync(source, target, scope, rule, 'both elements are equal');
}

/**
 * Neither has ever served: what they hold is what the first copy brought to both, and only a crash kept the one that it came from from noting that nothing
 * differs any more.
 */
function neverServed(a: LineageView, b: LineageView): SyncDecision | null {
  if (a.servedEpoch > 0 || b.servedEpoch > 0) return null;
  const [source, target] = b.dirtyExtents > a.dirtyExtents ? [b, a] : [a, b];
  return sync(source, target, 'union', 'lineage.equal', `neither has served, and ${source.node} has more to copy`);
}

/** Currents differ: who descends from whom (rows 4 to 7 of lineage.decide). */
function chooseByAncestry(a: LineageView, b: LineageView): SyncDecision {
  const candidates: SyncDecision[] = [];
  for (const [source, target] of [
    [a, b],
    [b, a],
  ] as const) {
    // What a rollback took back the other may hold, though its generation says that it holds less.
    if (source.behind) continue;
    if (source.base === target.current) {
      candidates.push(sync(source, target, 'union', 'lineage.base', `the map of ${source.node} is relative to what ${target.node} holds`));
    } else if (target.current !== null && source.history.includes(target.current)) {
      candidates.push(fullCopy(source, target));
    }
  }
  const [only] = candidates;
  if (only && candidates.length === 1) return only;
  if (only) return giveWay(a, b, refuse('split-brain', 'lineage.split', 'each element descends from the other'));
  if (ancestors(a).some((id) => ancestors(b).includes(id))) {
    return giveWay(a, b, refuse('split-brain', 'lineage.split', 'both elements were written alone since they were last equal'));
  }
  return refuse('unrelated', 'lineage.unrelated', 'the elements have no generation in common');
}

/**
 * What lineage alone cannot decide: where one side gives way, the other is the source. An operator's word comes first; one that both sides were given, or
 * that is about other generations, is none.
 */
function giveWay(a: LineageView, b: LineageView, otherwise: SyncDecision): SyncDecision {
  const told = giver(a, b, (view, other) => view.gaveWayTo !== null && ancestors(other).includes(view.gaveWayTo));
  if (told === 'both') return otherwise;
  if (told) return copyOver(told, told === a ? b : a, 'lineage.resolve', `an operator let ${told.node} give way`);
  const unchanged = giver(a, b, (view) => view.discardable);
  if (unchanged === null || unchanged === 'both') return otherwise;
  const because = `${unchanged.node} began no write and no flush alone, and gives way`;
  return copyOver(unchanged, unchanged === a ? b : a, 'lineage.unchanged', because);
}

/** Who of the two it holds of. */
function giver(a: LineageView, b: LineageView, holds: (view: LineageView, other: LineageView) => boolean): LineageView | 'both' | null {
  const [first, second] = [holds(a, b), holds(b, a)];
  if (first && second) return 'both';
  if (first) return a;
  return second ? b : null;
}

/** Both maps tell all that differs where they are relative to the same generation. */
function copyOver(target: LineageView, source: LineageView, rule: Rule, because: string): SyncDecision {
  const sameBase = target.current === source.current || (target.base !== null && target.base === source.base);
  return begun(source, target) ?? sync(source, target, sameBase ? 'union' : 'full', rule, because);
}

function fullCopy(source: LineageView, target: LineageView): SyncDecision {
  return (
    begun(source, target) ??
    sync(source, target, 'full', 'lineage.history', `what ${target.node} holds is older than the map of ${source.node}`)
  );
}

/** A full copy between the two that was begun before. */
function begun(source: LineageView, target: LineageView): SyncDecision | null {
  if (target.resyncId === null || target.resyncId !== source.resyncId) return null;
  return sync(source, target, 'union', 'resync.progress', 'the full copy that was begun goes on from the map of the source');
}

function ancestors(view: LineageView): readonly string[] {
  return [view.current, view.base, ...view.history].filter((id) => id !== null);
}

function sync(source: LineageView, target: LineageView, scope: CopyScope, rule: Rule, because: string): SyncDecision {
  return { kind: 'sync', source: source.node, target: target.node, scope, rule, because };
}
