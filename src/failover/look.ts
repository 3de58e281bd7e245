import { goAloneWhereAllowed, parkedMirrors } from './alone-run.ts';
import { attemptFailed, forgetAttempts } from './attempts.ts';
import type { BootDecision, BootEvidence } from './boot.ts';
import { decideBoot } from './boot.ts';
import type { Epoch } from '../epoch.ts';
import { compareEpochs, formatEpoch, highestEpoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { Rule } from '../rules.ts';
import { noteTakerServes, sendOffer, take } from './handover-run.ts';
import { mayBeUp } from './journal.ts';
import type { PairNode } from './pair-node.ts';
import type { PairRecord } from './pair-record.ts';
import { withEpoch } from './pair-record.ts';
import type { PeerReport } from './peer-report.ts';
import { refusal } from './refusal.ts';
import { loseService, promoteTheRest, serve, stopLeftovers } from './serve.ts';
import { shownEpochs } from './shown-epochs.ts';
import type { Block } from './takeover.ts';
import { automaticWish, clearIntent, handBack, judgeTakeover, takeOver, unseal } from './takeover-run.ts';

const regenerating = 'a resync towards this node runs';

/** Looks at everything that is known and does what follows from it: the standing task of a node. Never rejects. */
export async function look(node: PairNode): Promise<void> {
  try {
    if (await followEpoch(node)) return;
    if (node.keeper.doubtful) await recorded(node, () => node.keeper.settle());
    if (node.leaving) return;
    await followPeer(node);
    await tidy(node);
    if (node.serving) await keepServing(node);
    else await findPlace(node);
    noteTakerServes(node);
    watchRegeneration(node);
  } catch (error) {
    node.failed('deciding what to do', error);
    node.retryLater();
  }
}

/** Rule `lineage.epoch`: a higher epoch becomes this node's; one number with two owners makes neither serve. Whether the record changed. */
async function followEpoch(node: PairNode): Promise<boolean> {
  const { epoch } = node.record;
  // Without a record the boot table decides what may be taken for the pair's epoch.
  if (epoch.number === 0) return false;
  const shown = shownEpochs(node);
  const highest = highestEpoch(shown);
  if (highest.number > epoch.number) {
    await yieldTo(node, highest);
    return true;
  }
  // An order of the peer may have brought its epoch into the record of a node that serves.
  if (node.serving && epoch.owner !== node.name) {
    await yieldTo(node, epoch);
    return true;
  }
  const other = shown.find((one) => compareEpochs(one, epoch) === 'conflict');
  if (!other) return false;
  if (!node.serving && node.record.conflict) return false;
  await markSplit(node, other);
  return true;
}

async function yieldTo(node: PairNode, epoch: Epoch): Promise<void> {
  const lost = node.serving && epoch.owner !== node.name;
  if (lost) {
    node.serving = false;
    await node.orderAll('raising the epoch', (mirror) => mirror.raiseEpoch(epoch));
    void loseService(node, 'lineage.epoch', `${formatEpoch(epoch)} is higher`);
  }
  await recorded(node, () => node.adoptEpoch(epoch, node.heard.epoch.number === epoch.number ? node.heard.homes : null, 'lineage.epoch'));
}

/** An operator may have ended a split since it was seen: this node's epoch is above it, or the same. */
function isOver({ epoch }: PairRecord, other: Epoch): boolean {
  const order = compareEpochs(other, epoch);
  return order === 'lower' || order === 'equal';
}

async function markSplit(node: PairNode, other: Epoch): Promise<void> {
  const own = node.record.epoch;
  if (isOver(node.record, other)) {
    node.wake();
    return;
  }
  const text = `split brain: ${formatEpoch(own)} and ${formatEpoch(other)} are one epoch with two owners; nothing is served until an operator names the survivor`;
  node.emit('split:detected', { class: 3, rule: 'boot.conflict', own, other, text });
  const served = node.serving;
  node.serving = false;
  if (served) {
    await node.orderAll('raising the epoch', (mirror) => mirror.raiseEpoch(other));
    void node.orderAll('demotion', (mirror) => mirror.demote());
    void loseService(node, 'boot.conflict', text);
  }
  const marked = (record: PairRecord): PairRecord =>
    isOver(record, other) ? record : { ...record, intent: null, released: null, conflict: other };
  await recorded(node, () => node.keeper.change('split brain', marked));
}

/** A change that cannot be written is reported and tried again; nothing that depends on it happens. */
async function recorded(node: PairNode, change: () => Promise<unknown>): Promise<void> {
  try {
    await change();
  } catch (error) {
    node.failed('the pair record', error, 'record:failed');
    node.retryLater();
  }
}

/** What the peer says about the pair as a whole: an operator's later word, and the homes as the owner knows them. */
async function followPeer(node: PairNode): Promise<void> {
  const peer = node.livePeer();
  if (!peer) return;
  const wanted = (record: PairRecord): PairRecord => {
    const control = laterControl(record.control, peer.control);
    const homes = ownersHomes(node, record, peer);
    return control === record.control && homes === record.homes ? record : { ...record, control, homes };
  };
  if (wanted(node.record) !== node.record) await recorded(node, () => node.keeper.change('what the peer says', wanted));
}

/** The later of two words of operators; of two at the same time the careful one. */
export function laterControl(own: PairRecord['control'], other: PairRecord['control']): PairRecord['control'] {
  if (other.version !== own.version) return other.version > own.version ? other : own;
  return other.value === 'manual' && own.value === 'auto' ? other : own;
}

function ownersHomes(node: PairNode, record: PairRecord, peer: PeerReport): PairRecord['homes'] {
  const theirs = peer.record;
  if (!theirs || theirs.epoch.owner !== node.peerName || compareEpochs(theirs.epoch, record.epoch) !== 'equal') return record.homes;
  const { primary, standby } = theirs.homes;
  const same = primary === record.homes.primary && standby === record.homes.standby;
  const ours = [node.name, node.peerName].every((name) => name === primary || name === standby);
  return same || !ours ? record.homes : theirs.homes;
}

/** What an aborted takeover left behind. */
async function tidy(node: PairNode): Promise<void> {
  await unseal(node);
  await handBack(node);
}

async function keepServing(node: PairNode): Promise<void> {
  await promoteTheRest(node);
  for (const view of node.views()) {
    if (view.peerElement === 'uptodate') node.raisedFor.delete(view.name);
    if (view.connection === 'connected') node.aloneDecisions.delete(view.name);
  }
  node.arbiterNews.tell();
  if (parkedMirrors(node).length === 0) forgetAttempts(node);
  await goAloneWhereAllowed(node);
}

/** A node that does not serve asks the boot table, whether it has just started or not. */
async function findPlace(node: PairNode): Promise<void> {
  if (node.taking) {
    await take(node);
    return;
  }
  const decision = decideBoot(await bootEvidence(node));
  noteBoot(node, decision);
  await carryOut(node, decision);
  if (!node.serving && !node.booting) await considerTakeover(node);
}

/** The arbiter matters to whom it might let serve, and to whom it granted something, be it that a crash took the answer and only the peer knows of it. */
function mattersArbiter(node: PairNode): boolean {
  const { booting, record, name } = node;
  return booting || record.epoch.owner === name || record.intent !== null || node.livePeer()?.overGrant?.owner === name;
}

async function bootEvidence(node: PairNode): Promise<BootEvidence> {
  // Asked first: what was said meanwhile counts.
  const arbiter = mattersArbiter(node) ? await node.arbitration.current() : 'none';
  const { record, monitor } = node;
  const peer = node.livePeer();
  const views = node.views();
  return {
    node: node.name,
    peerNode: node.peerName,
    own: record.epoch.number === 0 ? null : record,
    elementEpoch: highestEpoch(views.map((view) => view.epoch)),
    elements: worstOf(views.map((view) => node.trusted(view))),
    peer: peer && { record: peer.record, elementEpoch: highestEpoch(peer.mirrors.map(({ epoch }) => epoch)), serving: peer.serving },
    waited: monitor.watchState() !== 'grace' && monitor.peerState() !== 'up' && monitor.peerState() !== 'suspect',
    arbiter,
    bootAlone: node.policy.bootAlone,
    operator: node.operatorWord !== null,
    overrides: node.operatorWord?.overrides ?? [],
  };
}

function worstOf(elements: readonly string[]): BootEvidence['elements'] {
  if (elements.every((element) => element === 'uptodate')) return 'uptodate';
  return elements.every((element) => element === 'uptodate' || element === 'consistent') ? 'consistent' : 'unfit';
}

function noteBoot(node: PairNode, decision: BootDecision): void {
  const same = node.boot?.action === decision.action && node.boot.because === decision.because;
  node.boot = decision;
  if (same || !node.booting) return;
  const { action, rule, evidence, because } = decision;
  node.emit('boot:decided', { class: action === 'split' ? 3 : 0, action, rule, evidence, text: `${node.name}: ${action}, ${because}` });
}

async function carryOut(node: PairNode, decision: BootDecision): Promise<void> {
  const { action, rule, because, epoch, homes } = decision;
  switch (action) {
    case 'serve':
      await serve(node, { alone: false, force: false, rollBack: false, rule, reason: because });
      return;
    case 'serve-alone':
      await serveAlone(node, because);
      return;
    case 'passive':
      settle(node);
      return;
    case 'wait':
      node.retryLater();
      return;
    case 'adopt':
      if (epoch) await recorded(node, () => node.adoptEpoch(epoch, homes ?? null, rule));
      return;
    case 'split':
      if (epoch && !node.record.conflict) await markSplit(node, epoch);
      return;
    case 'resume-takeover':
      await resumeTakeover(node);
      return;
    case 'hand-back':
      await handBackUncommitted(node);
      return;
    case 'send-handover':
      await sendOffer(node);
  }
}

/** The node is passive. Of a service that it ran before a crash something may still be up. */
function settle(node: PairNode): void {
  const first = node.booting;
  node.booting = false;
  if (first && mayBeUp(node.record.journal)) void stopLeftovers(node, 'this node is passive after a restart');
}

/** Row "peer unreachable" of the boot table: serving alone needs an epoch of its own. */
async function serveAlone(node: PairNode, because: string): Promise<void> {
  const { epoch } = node.record;
  const overridden = node.operatorWord?.overrides.includes('takeover.arbiter') === true;
  // What an arbiter that is not asked has granted to the other node, nobody else may own.
  const granted = overridden ? await node.arbitration.current() : 'none';
  const known = highestEpoch([node.knownEpoch(), typeof granted === 'string' ? null : granted]);
  const next: Epoch = { number: known.number + 1, owner: node.name };
  if (node.arbitration.present && !overridden) {
    const answer = await node.arbitration.grant(epoch, next);
    if (!answer.granted) {
      node.boot = node.boot && { ...node.boot, action: 'wait', rule: 'boot.arbiter', because: answer.because };
      node.retryLater();
      return;
    }
  }
  await node.keeper.change('boot alone', (record) => {
    const shown = shownEpochs(node).some((one) => compareEpochs(one, next) !== 'lower');
    if (shown || node.livePeer() || compareEpochs(record.epoch, epoch) !== 'equal')
      throw refusal('boot.alone', 'the peer answered meanwhile');
    if (worstOf(node.views().map((view) => node.trusted(view))) === 'unfit')
      throw refusal('boot.alone', 'an element of this node is no longer consistent');
    return withEpoch(record, next);
  });
  await serve(node, { alone: true, force: true, rollBack: false, rule: 'boot.alone', reason: because });
}

/** After a crash between intent and commit: the rules as they are now decide, and a living peer ends it. */
async function resumeTakeover(node: PairNode): Promise<void> {
  const { intent, epoch, released } = node.record;
  if (!node.livePeer() && judgeTakeover(node, automaticWish).allowed) {
    await attempt(node);
    return;
  }
  if (!intent) return;
  if (node.arbitration.present) node.pendingHandBack = { granted: intent, earlier: released ?? epoch };
  const text = `the takeover with ${formatEpoch(intent)} that a crash interrupted is given up`;
  node.emit('takeover:aborted', {
    class: 0,
    rule: 'takeover.commit',
    epoch: intent,
    blockedBy: judgeTakeover(node, automaticWish).blockedBy,
    text,
  });
  await clearIntent(node);
}

async function handBackUncommitted(node: PairNode): Promise<void> {
  const granted = await node.arbitration.current();
  const peer = node.livePeer();
  // Of a peer that has released the service meanwhile, or is silent, it may be the grant of a hand-over or a takeover.
  if (!peer || peer.serving || peer.record?.released) return;
  if (typeof granted === 'string' || granted.owner !== node.name || granted.number <= node.record.epoch.number) return;
  node.pendingHandBack = { granted, earlier: node.record.epoch };
  await handBack(node);
  node.retryLater();
}

/** A passive node whose peer is down takes over if the rules let it. */
async function considerTakeover(node: PairNode): Promise<void> {
  const { record } = node;
  const mine = record.epoch.owner === node.name && !record.released;
  if (node.monitor.peerState() !== 'down' || record.epoch.number === 0 || record.conflict || mine || node.move) {
    if (!record.released) node.blockers = [];
    forgetAttempts(node);
    return;
  }
  const { allowed, blockedBy } = judgeTakeover(node, automaticWish);
  if (!allowed) noteBlocked(node, blockedBy);
  else if (node.clock.nowMs() >= node.attempts.nextMs) await attempt(node);
  else node.wakeAt(node.attempts.nextMs);
}

async function attempt(node: PairNode): Promise<void> {
  try {
    await takeOver(node, automaticWish);
  } catch (error) {
    const failure = HotMirrorError.from(error, 'HM_INTERNAL', 'the takeover');
    if (failure.code !== 'HM_REFUSED') node.failed('the takeover', failure);
    const listed = failure.details?.['blockedBy'] as readonly Block[] | undefined;
    noteBlocked(node, listed ?? [{ rule: (failure.rule as Rule | undefined) ?? 'takeover.commit', because: failure.message }]);
    attemptFailed(node);
  }
}

function noteBlocked(node: PairNode, blockedBy: readonly Block[]): void {
  const same = node.blockers.map(({ rule }) => rule).join() === blockedBy.map(({ rule }) => rule).join();
  node.blockers = blockedBy;
  const [first] = blockedBy;
  if (same || !first) return;
  const evidence = { ...judgeTakeover(node, automaticWish).evidence };
  node.emit('takeover:blocked', {
    class: 3,
    rule: first.rule,
    epoch: null,
    blockedBy,
    evidence,
    text: blockedBy.map(({ because }) => because).join('; '),
  });
}

/** Rule `takeover.auto`: the monitor is paused while a resync runs towards this node. */
function watchRegeneration(node: PairNode): void {
  const towards = !node.serving && node.views().some(({ role, resync }) => role === 'target' && resync !== null);
  if (towards === node.pausedMonitor) return;
  node.pausedMonitor = towards;
  if (towards) node.monitor.pause(regenerating);
  else node.monitor.resume(regenerating);
}
