import type { Epoch } from '../epoch.ts';
import { compareEpochs, formatEpoch, highestEpoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { Rule } from '../rules.ts';
import { mayServeFrom } from './handover.ts';
import type { PairNode, TakeoverRun } from './pair-node.ts';
import { withEpoch } from './pair-record.ts';
import type { ElementState, MirrorView } from './ports.ts';
import { refusal, refusalBy } from './refusal.ts';
import { serve } from './serve.ts';
import { mayTakeOver } from './takeover.ts';
import type { Asked, TakeoverDecision } from './takeover.ts';

/** Who wants a takeover, and how badly. */
export interface TakeoverWish {
  readonly byOperator: boolean;
  readonly force: boolean;
  readonly overrides: readonly Rule[];
  readonly reason: string;
}

/** Whether the wish accepts elements that are complete but not known to be the newest. */
function acceptsOlder(wish: TakeoverWish): boolean {
  return wish.force || wish.overrides.includes('takeover.uptodate');
}

/** The wish of a node that acts on its own. */
export const automaticWish: TakeoverWish = { byOperator: false, force: false, overrides: [], reason: 'the peer is down' };

interface Asking {
  arbiter: 'none' | Asked;
  fence: 'none' | Asked;
}

/** The rules as they stand, before anything durable has been done. */
export function judgeTakeover(
  node: PairNode,
  wish: TakeoverWish,
  views: readonly MirrorView[] = node.views(),
  asked: Asking = unasked(node),
): TakeoverDecision {
  return mayTakeOver({
    control: node.record.control.value,
    watch: node.monitor.watchState(),
    peer: node.monitor.peerState(),
    verdict: node.monitor.verdict(),
    mirrors: views.map((view) => ({ name: view.name, element: node.trusted(view), findingBytes: view.findingBytes ?? 0 })),
    byOperator: wish.byOperator,
    force: wish.force,
    overrides: wish.overrides,
    ...asked,
  });
}

function unasked(node: PairNode): Asking {
  return { arbiter: node.arbitration.present ? 'unasked' : 'none', fence: node.hasFence ? 'unasked' : 'none' };
}

/**
 * Takes over (rule `takeover.commit`). Runs as one decision: nothing else is decided meanwhile, but a sign of life of the peer or `manual`
 * aborts it up to the commit. Rejects with `HM_REFUSED` and leaves the node passive when a rule blocks.
 */
export async function takeOver(node: PairNode, wish: TakeoverWish): Promise<void> {
  const run: TakeoverRun = { automatic: !wish.byOperator, abort: new AbortController() };
  node.takeover = run;
  try {
    requireAllowed(node, wish, judgeTakeover(node, wish));
    const next = await nextEpoch(node, wish);
    await recordIntent(node, wish, run, next);
    await sealAndCommit(node, wish, run, next);
  } finally {
    node.takeover = null;
  }
  await serve(node, {
    alone: true,
    force: acceptsOlder(wish),
    rollBack: true,
    rule: 'takeover.commit',
    reason: `takeover: ${wish.reason}`,
  });
}

function requireAllowed(node: PairNode, wish: TakeoverWish, decision: TakeoverDecision): void {
  const { own, conflict } = { own: node.record.epoch, conflict: node.record.conflict };
  if (own.number === 0) throw refusal('boot.norecord', 'this node has no pair record');
  if (conflict) throw refusal('boot.conflict', `${formatEpoch(own)} and ${formatEpoch(conflict)} are one epoch with two owners`);
  const [first, ...rest] = decision.blockedBy;
  if (first) throw refusalBy([first, ...rest]);
  // What it is rolled back to is what it is served from.
  const servedFrom = (view: MirrorView): ElementState => (view.canRollBack ? 'outdated' : view.element);
  const unfit = node.views().find((view) => !mayServeFrom(servedFrom(view), acceptsOlder(wish)));
  if (unfit) throw refusal('boot.uptodate', `${unfit.name} is ${unfit.element}, which can never be served from`);
}

/** One above everything known; a grant that this node already holds is used again. */
async function nextEpoch(node: PairNode, wish: TakeoverWish): Promise<Epoch> {
  const known = node.knownEpoch();
  const arbiter = await node.arbitration.current();
  const above = { number: highestEpoch([known, typeof arbiter === 'string' ? null : arbiter]).number + 1, owner: node.name };
  if (arbiter === 'none' || wish.overrides.includes('takeover.arbiter')) return above;
  if (arbiter === 'unreachable') throw refusal('takeover.arbiter', 'the arbiter cannot be asked');
  if (arbiter.number <= known.number) return above;
  if (arbiter.number === known.number + 1 && arbiter.owner === node.name) return arbiter;
  throw refusal('takeover.arbiter', `the arbiter granted ${formatEpoch(arbiter)}`);
}

async function recordIntent(node: PairNode, wish: TakeoverWish, run: TakeoverRun, next: Epoch): Promise<void> {
  const from = node.record.epoch;
  await node.keeper.change('takeover intent', (record) => {
    requireUndisturbed(node, wish, run);
    if (compareEpochs(record.epoch, from) !== 'equal') throw refusal('takeover.commit', `the epoch is ${formatEpoch(record.epoch)} now`);
    return { ...record, intent: next };
  });
  const loss = possibleLoss(node.views());
  node.emit('takeover:decided', {
    class: 0,
    rule: 'takeover.commit',
    epoch: next,
    blockedBy: [],
    evidence: { ...judgeTakeover(node, wish).evidence, mayLoseBytes: loss.bytes },
    text: `${node.name} is about to take over with ${formatEpoch(next)}: ${wish.reason}${loss.words}`,
  });
}

/** What of the acknowledged the takeover may lose, mirror by mirror (rule write.both); null where the element may be older than anybody knows. */
function possibleLoss(views: readonly MirrorView[]): { readonly bytes: Readonly<Record<string, number | null>>; readonly words: string } {
  const losses = views.map(({ name, mayLoseBytes = null }) => ({ name, mayLoseBytes }));
  const words = losses
    .filter(({ mayLoseBytes }) => mayLoseBytes !== 0)
    .map(({ name, mayLoseBytes }) => `; of ${name} ${lossInWords(mayLoseBytes)} may be lost`);
  return { bytes: Object.fromEntries(losses.map(({ name, mayLoseBytes }) => [name, mayLoseBytes])), words: words.join('') };
}

function lossInWords(bytes: number | null): string {
  return bytes === null ? 'whatever its element lacks' : `up to ${String(bytes)} bytes that no flush covers`;
}

async function sealAndCommit(node: PairNode, wish: TakeoverWish, run: TakeoverRun, next: Epoch): Promise<void> {
  const asked = unasked(node);
  const { epoch, released } = node.record;
  // What this node released is as good as its own: nothing was completed under it that its elements lack, unless the arbiter stands higher.
  const carried = released ?? epoch;
  try {
    const views = await seal(node);
    requireUndisturbed(node, wish, run);
    requireAbove(next, views);
    if (asked.arbiter === 'unasked' && !wish.overrides.includes('takeover.arbiter')) {
      const answer = await node.arbitration.grant(carried, next);
      asked.arbiter = answer.granted ? 'granted' : 'refused';
      node.pendingHandBack = answer.granted || answer.unknown ? { granted: next, earlier: carried } : null;
      requireUndisturbed(node, wish, run);
    }
    if (asked.fence === 'unasked' && !wish.overrides.includes('takeover.fence')) {
      const fenced = await node.service.fence(next.number, wish.reason, run.abort.signal).then(
        () => true,
        () => false,
      );
      asked.fence = fenced ? 'granted' : 'refused';
      requireUndisturbed(node, wish, run);
    }
    requireAllowed(node, wish, judgeTakeover(node, wish, views, asked));
    await node.keeper.change('takeover commit', (record) => {
      requireUndisturbed(node, wish, run);
      if (!record.intent || compareEpochs(record.intent, next) !== 'equal') throw refusal('takeover.commit', 'the intent was overtaken');
      return withEpoch(record, next);
    });
    node.pendingHandBack = null;
    node.sealed = false;
  } catch (error) {
    await abortTakeover(node, next, error);
    throw error;
  }
}

/** A source tells its epoch on every data link; one that was told of it last may have known it alone until it was sealed. */
function requireAbove(next: Epoch, views: readonly MirrorView[]): void {
  const newest = highestEpoch(views.map(({ epoch }) => epoch));
  if (newest.number >= next.number) throw refusal('takeover.commit', `the elements know of ${formatEpoch(newest)} by now`);
}

function seal(node: PairNode): Promise<MirrorView[]> {
  node.sealed = true;
  return Promise.all(node.mirrors.map((mirror) => node.order(mirror, 'seal', () => mirror.seal())));
}

/** Throws when the peer was heard, an operator said `manual`, or the node is being closed. The last look before the commit. */
function requireUndisturbed(node: PairNode, wish: TakeoverWish, run: TakeoverRun): void {
  run.abort.signal.throwIfAborted();
  node.ended.signal.throwIfAborted();
  if (!wish.byOperator && node.record.control.value === 'manual') throw refusal('takeover.auto', 'control is manual');
}

/** The intent is taken back durably first: a grant that may yet be committed must stay this node's. */
async function abortTakeover(node: PairNode, next: Epoch, cause: unknown): Promise<void> {
  const error = HotMirrorError.from(cause, 'HM_INTERNAL', 'the takeover');
  node.emit('takeover:aborted', {
    class: 0,
    rule: (error.rule as Rule | undefined) ?? 'takeover.commit',
    epoch: next,
    blockedBy: [],
    text: error.message,
  });
  await clearIntent(node);
  await unseal(node);
}

/**
 * Reconnects what was sealed for a takeover that did not come about, or held before going alone. Not while a crash may bring back an epoch of this node of which the other
 * would not hear.
 */
export async function unseal(node: PairNode): Promise<void> {
  if (!node.sealed) return;
  if (node.keeper.doubtful) {
    node.retryLater();
    return;
  }
  node.sealed = !(await node.orderAll('unseal', (mirror) => mirror.unseal()));
  if (node.sealed) node.retryLater();
}

/** Takes an intent back, and then a grant that came with it. What fails is tried again by the next look. */
export async function clearIntent(node: PairNode): Promise<void> {
  try {
    await node.keeper.change('takeover aborted', (record) => (record.intent ? { ...record, intent: null } : record));
  } catch (error) {
    node.failed('taking back the intent', error, 'record:failed');
    node.retryLater();
    return;
  }
  await handBack(node);
}

/** Gives a grant that was never committed back to the arbiter, if one is known of. */
export async function handBack(node: PairNode): Promise<void> {
  const pending = node.pendingHandBack;
  if (!pending || node.record.intent) return;
  // What was committed in the meantime is owed no more: without it the arbiter could grant the number a second time.
  if (pending.granted.number <= node.record.epoch.number) {
    node.pendingHandBack = null;
    return;
  }
  const settled = await node.arbitration.handBack(pending.granted, pending.earlier);
  node.arbiterNews.forget();
  if (settled) node.pendingHandBack = null;
  else node.retryLater();
}
