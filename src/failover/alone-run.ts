import { randomHex } from '../clock/random.ts';
import { untilAny } from '../clock/within.ts';
import type { Epoch } from '../epoch.ts';
import { compareEpochs, formatEpoch, highestEpoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { AloneAction, AloneDecision } from './alone.ts';
import { mayGoAlone } from './alone.ts';
import { attemptFailed, forgetAttempts } from './attempts.ts';
import { isOutdated, toJson } from './messages.ts';
import { retryMs } from './pair-node.ts';
import type { PairNode } from './pair-node.ts';
import { withEpoch } from './pair-record.ts';
import type { MirrorPort, MirrorView } from './ports.ts';
import { refusal } from './refusal.ts';
import { shownEpochs } from './shown-epochs.ts';
import { unseal } from './takeover-run.ts';

const nonceBytes = 16;

/** A mirror whose data link is lost, as it was when it was judged. */
interface Parked {
  readonly mirror: MirrorPort;
  readonly view: MirrorView;
}

/** Why going alone is allowed, for one mirror. */
interface Permit extends Parked {
  readonly decision: AloneDecision;
}

/** Serving mirrors without their data link, on which requests wait. */
export function parkedMirrors(node: PairNode): readonly Parked[] {
  return node.mirrors
    .map((mirror) => ({ mirror, view: mirror.state() }))
    .filter(({ view }) => view.serving === 'parked' && view.connection !== 'connected');
}

/** Looks at every mirror of a serving node that lost its data link, and lets those go on that the rule `alone` allows. */
export async function goAloneWhereAllowed(node: PairNode): Promise<void> {
  const parked = parkedMirrors(node);
  const decisions = parked.map((one) => ({ ...one, decision: judgeAlone(node, one.view) }));
  node.blockers = decisions
    .filter(({ decision }) => decision.action !== 'go')
    .map(({ decision: { rule, because } }) => ({ rule, because }));
  if (parked.length === 0) return;
  const asked = await Promise.all(decisions.filter((one) => !refusedJustNow(node, one)).map((one) => permitOf(node, one)));
  const permits = asked.filter((permit) => permit !== null);
  // Who needs neither a fence nor a grant must not wait for them.
  const by = (...actions: readonly AloneAction[]): readonly Permit[] => permits.filter(({ decision }) => actions.includes(decision.action));
  await goTogether(node, by('go', 'outdate'), false);
  const fence = by('fence');
  if (fence.length > 0 && (await fencePeer(node))) await goTogether(node, fence, false);
  await goTogether(node, by('ask-arbiter'), true);
}

/** Runs the fence, which a sign of life of the peer ends. Whether it succeeded; where it does not again and again it is run less and less often. */
async function fencePeer(node: PairNode): Promise<boolean> {
  const { nextMs } = node.attempts;
  if (node.operatorWord === null && nextMs > node.clock.nowMs()) {
    node.wakeAt(nextMs);
    return false;
  }
  const abort = new AbortController();
  node.fencing = abort;
  try {
    const because = `${node.peerName} is silent, and ${node.name} is to go on alone`;
    await untilAny([abort.signal, node.ended.signal], (signal) => node.service.fence(node.knownEpoch().number, because, signal));
    forgetAttempts(node);
    return true;
  } catch (error) {
    node.failed(`fencing ${node.peerName}`, error);
    attemptFailed(node);
    return false;
  } finally {
    node.fencing = null;
  }
}

/** What the decision comes to, once the peer has been asked where it must be. */
async function permitOf(node: PairNode, permit: Permit): Promise<Permit | null> {
  const { decision, view } = permit;
  noteDecision(node, view.name, decision);
  if (decision.action === 'wait') {
    const nowMs = node.clock.nowMs();
    node.wakeAt(Math.max(decision.retryAtMs ?? nowMs + waitMs, nowMs + shortestWaitMs));
    return null;
  }
  if (decision.action !== 'outdate' || (await outdatePeer(node, permit))) return permit;
  node.retryLater();
  return null;
}

/** The epoch to go on in. */
interface EpochForAlone {
  readonly from: Epoch;
  /** The same as `from` where nothing is to be raised. */
  readonly epoch: Epoch;
  /** The arbiter gave the number to this node: nobody else can take it. */
  readonly granted: boolean;
}

async function goTogether(node: PairNode, permits: readonly Permit[], grantNeeded: boolean): Promise<void> {
  if (permits.length === 0 || !node.serving) return;
  const next = await epochForAlone(node, permits, grantNeeded);
  if (!next) return;
  if (compareEpochs(next.epoch, next.from) === 'equal') await go(node, permits, next.epoch);
  else if (!next.granted) await raiseHeld(node, permits, next);
  else if (await raise(node, next)) await go(node, permits, next.epoch);
}

/**
 * Raises the record and goes on while the peer can become whole on no connection: whole in the old epoch, it could take the new number, of which it has not heard, for
 * itself.
 */
async function raiseHeld(node: PairNode, permits: readonly Permit[], next: EpochForAlone): Promise<void> {
  try {
    const held = await hold(node, permits);
    if (held.length === 0) return;
    // Letting go is a change that makes the node look again.
    for (const { mirror } of held) node.aloneAgainMs.set(mirror.name, node.clock.nowMs() + retryMs);
    if (await raise(node, next)) await go(node, held, next.epoch);
  } finally {
    node.sealed = true;
    await unseal(node);
  }
}

/** Gives those that are still without a connection. */
async function hold(node: PairNode, permits: readonly Permit[]): Promise<readonly Permit[]> {
  const held = await Promise.all(
    permits.map(async (permit) => {
      const { mirror, view, decision } = permit;
      try {
        await node.order(mirror, 'hold', () =>
          mirror.seal({ connectionId: view.connectionId, endedByPeer: decision.action === 'outdate' }),
        );
        return permit;
      } catch (error) {
        node.aloneAgainMs.set(mirror.name, node.clock.nowMs() + retryMs);
        node.failed(`holding ${mirror.name}`, error);
        node.retryLater();
        return null;
      }
    }),
  );
  return held.filter((permit) => permit !== null);
}

/** A frozen node looks again when something changes, and now and then. */
const waitMs = 1_000;
/** Evidence that is due at this very moment may need one more: no use in looking without a pause. */
const shortestWaitMs = 10;

function judgeAlone(node: PairNode, view: MirrorView): AloneDecision {
  const nowMs = node.clock.nowMs();
  const reachable = node.monitor.reachable();
  if (!reachable) node.unreachableAtMs = nowMs;
  const lostAtMs = view.lostAtMs ?? node.servingSinceMs;
  return mayGoAlone({
    mirror: view.name,
    ownElement: view.element !== 'failed' && view.element !== 'off',
    peerBehind: view.peerBehind,
    peer: node.monitor.peerState(),
    reachable,
    silence: node.monitor.freshSilence(lostAtMs),
    handshaking: view.handshaking,
    reconnectFromMs: Math.max(lostAtMs, node.unreachableAtMs),
    nowMs,
    mayBeTakenOver: node.ownershipDoubted || isAboutToTake(node),
    whenAlone: node.policy.whenAlone,
    fence: node.hasFence,
    arbiter: node.arbitration.present,
    bootAlone: node.policy.bootAlone,
    operator: node.operatorWord !== null,
    overrides: node.operatorWord?.overrides ?? [],
  });
}

/** The last word of the peer was that it is about to take over: it may have done so, and died since. */
function isAboutToTake({ record, peerSeen }: PairNode): boolean {
  return (peerSeen?.report.record?.intent?.number ?? 0) > record.epoch.number;
}

function noteDecision(node: PairNode, mirror: string, { action, rule, because, evidence }: AloneDecision): void {
  const key = `${action} ${rule}`;
  if (node.aloneDecisions.get(mirror) === key) return;
  node.aloneDecisions.set(mirror, key);
  node.emit('alone:decided', {
    class: 1,
    mirror,
    action,
    rule,
    evidence: { ...evidence },
    text: `${mirror} without its peer: ${action}, ${because}`,
  });
}

/** Has the peer record that its element is old (rule `outdate`). Whether it confirmed exactly this order. */
async function outdatePeer(node: PairNode, parked: Parked): Promise<boolean> {
  try {
    return await orderOutdated(node, parked).catch((error: unknown) => {
      const peerConnectionId = latestOfPeer(error);
      // The data link may be back by now, on that connection.
      if (!isStillParked(node, parked)) throw error;
      return orderOutdated(node, parked, peerConnectionId);
    });
  } catch (error) {
    node.failed(`outdating ${parked.mirror.name} at ${node.peerName}`, error);
    return false;
  }
}

/** The connection that the peer named where it refused an order about another one. Throws every other error. */
function latestOfPeer(error: unknown): string {
  const named = error instanceof HotMirrorError && error.rule === 'outdate' ? error.details?.['connectionId'] : undefined;
  if (typeof named !== 'string') throw error;
  return named;
}

async function orderOutdated(node: PairNode, { mirror, view }: Parked, peerConnectionId?: string): Promise<boolean> {
  const nonce = randomHex(node.options.random, nonceBytes);
  const { currentId, connectionId } = view;
  const order = { kind: 'outdate', mirror: mirror.name, epoch: node.record.epoch, currentId, connectionId, peerConnectionId, nonce };
  const answer = await node.monitor.request(toJson(order), { deadlineMs: node.policy.requestDeadlineMs, signal: node.ended.signal });
  return isOutdated(answer, nonce);
}

/**
 * The epoch to go on in; `raise` makes it durable. It is raised whenever a mirror begins to be alone, so that nobody can be granted the next one unnoticed. It
 * is not raised again while the same mirrors stay behind for which it was raised: their elements cannot take over by themselves meanwhile.
 */
async function epochForAlone(node: PairNode, permits: readonly Permit[], grantNeeded: boolean): Promise<EpochForAlone | null> {
  const { epoch: from } = node.record;
  const asItIs: EpochForAlone = { from, epoch: from, granted: false };
  if (!grantNeeded && permits.every(({ view }) => view.peerBehind && node.raisedFor.has(view.name))) return asItIs;
  const arbiter = await node.arbitration.current();
  const next = nextEpoch(node, arbiter, grantNeeded);
  if (node.arbitration.present) {
    const answer = await node.arbitration.grant(from, next, { above: !grantNeeded });
    if (!answer.granted) {
      // A number that the arbiter did not give may be given to the other node. The recorded one is this node's.
      if (!grantNeeded) return asItIs;
      node.blockers = [{ rule: 'arbiter.cas', because: answer.because }];
      node.retryLater();
      return null;
    }
  }
  return { from, epoch: next, granted: node.arbitration.present };
}

/** One above everything known. What the arbiter granted this node before a crash is used again. */
function nextEpoch(node: PairNode, arbiter: 'none' | 'unreachable' | Epoch, grantNeeded: boolean): Epoch {
  const known = node.knownEpoch();
  if (typeof arbiter === 'string') return { number: known.number + 1, owner: node.name };
  const again = arbiter.owner === node.name && arbiter.number === known.number + 1;
  if (again) return arbiter;
  // A grant is asked for the very next epoch: an arbiter that stands higher must refuse.
  return { number: (grantNeeded ? known : highestEpoch([known, arbiter])).number + 1, owner: node.name };
}

/** Makes the epoch durable, unless another one was heard of since it was chosen. */
async function raise(node: PairNode, { from, epoch }: EpochForAlone): Promise<boolean> {
  try {
    await node.keeper.change('alone', (record) => {
      if (!node.serving || compareEpochs(record.epoch, from) !== 'equal')
        throw refusal('lineage.epoch', `the epoch is ${formatEpoch(record.epoch)} now`);
      const shown = shownEpochs(node).find((one) => ['higher', 'conflict'].includes(compareEpochs(one, from)));
      if (shown) throw refusal('lineage.epoch', `${formatEpoch(shown)} was heard of meanwhile`);
      return withEpoch(record, epoch);
    });
    return true;
  } catch (error) {
    node.failed(`raising the epoch to ${formatEpoch(epoch)}`, error, 'record:failed');
    node.retryLater();
    return false;
  }
}

/** Gives the orders. What was heard or has changed since the judgement makes a permit void; the next look judges again. */
async function go(node: PairNode, permits: readonly Permit[], epoch: Epoch): Promise<void> {
  const valid = permits.filter((permit) => stillValid(node, permit));
  if (valid.length < permits.length) node.retryLater();
  const chosen = new Map(valid.map((permit) => [permit.mirror, permit]));
  await node.orderAll('going alone', async (mirror) => {
    const permit = chosen.get(mirror);
    if (!permit) return mirror.raiseEpoch(epoch);
    // The attempt itself may be a change that makes the node look again.
    node.aloneAgainMs.set(mirror.name, node.clock.nowMs() + retryMs);
    try {
      await mirror.goAlone({ epoch, rule: permit.decision.rule, connectionId: permit.view.connectionId });
    } catch (error) {
      // Whatever it refused: whom it meets from now on must hear of the number that the record holds.
      await mirror.raiseEpoch(epoch);
      throw error;
    }
    node.aloneAgainMs.delete(mirror.name);
    node.raisedFor.add(mirror.name);
  });
  node.wake();
}

/** A mirror whose data link is about to come back refuses for as long as that takes. An operator's word lasts for one look and does not wait. */
function refusedJustNow(node: PairNode, { mirror }: Permit): boolean {
  const againMs = node.aloneAgainMs.get(mirror.name) ?? -Infinity;
  if (node.operatorWord !== null || againMs <= node.clock.nowMs()) return false;
  node.wakeAt(againMs);
  return true;
}

function isStillParked(node: PairNode, { mirror, view }: Parked): boolean {
  const { serving, connectionId } = mirror.state();
  return node.serving && serving === 'parked' && connectionId === view.connectionId;
}

function stillValid(node: PairNode, permit: Permit): boolean {
  const { mirror, view, decision } = permit;
  if (!isStillParked(node, permit)) return false;
  const now = mirror.state();
  // An order to be outdated ends the connection that it names, which is the latest still.
  if (decision.action !== 'outdate' && now.lostAtMs !== view.lostAtMs) return false;
  // A grant, a fence or the peer's confirmation is not taken back by later words of the peer; a silence is.
  return decision.action !== 'go' || judgeAlone(node, now).action === 'go';
}
