import type { Epoch } from '../epoch.ts';
import { compareEpochs, formatEpoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { HandoverOffer } from './handover.ts';
import { handoverObstacles, isHopeless, judgeOffer } from './handover.ts';
import type { HandoverAnswer } from './messages.ts';
import { parseHandoverAnswer, toJson } from './messages.ts';
import type { PairNode } from './pair-node.ts';
import { withEpoch } from './pair-record.ts';
import type { Json } from './ports.ts';
import { refusal, refusalBy } from './refusal.ts';
import { serve, startService } from './serve.ts';
import type { Block } from './takeover.ts';

/** Offers that are answered with "later" before the giver asks for a final answer. */
const patientOffers = 20;

/** The longest that a timer can run: some 24 days. */
const longestWaitMs = 2 ** 31 - 1;

/** How a hand-over is to be carried out. */
export interface GiveOrder {
  readonly reason: string;
  /** Wait for the regeneration of the taker's elements first. */
  readonly regenerate: boolean;
  readonly force: boolean;
  readonly signal?: AbortSignal;
}

/** What keeps this node from giving now. */
export function giveObstacles(node: PairNode, order: Pick<GiveOrder, 'regenerate' | 'force'>): readonly Block[] {
  const rule = order.regenerate ? 'recover.ready' : 'handover';
  return handoverObstacles({ rule, peer: node.livePeer(), serving: node.serving, mirrors: node.views(), force: order.force });
}

/**
 * The giver's side of rule `handover`: stop the service, end serving, release durably. From then on every look sends the offer until the taker
 * has answered for good; this waits for that, and until the service is up over there.
 */
export async function give(node: PairNode, order: GiveOrder): Promise<void> {
  if (node.record.epoch.owner !== node.name) throw refusal('handover', `${node.record.epoch.owner || 'nobody'} owns the service`);
  if (!node.record.released) {
    if (order.regenerate) await awaitRegeneration(node, order.signal);
    requireReady(node, order);
    if (node.serving) await stopForHandover(node, order);
    await node.decide(() => release(node, order));
  }
  await awaitTaker(node);
}

function requireReady(node: PairNode, order: GiveOrder): void {
  const [first, ...rest] = giveObstacles(node, order);
  if (first) throw refusalBy([first, ...rest]);
}

/** Users work on while the regeneration runs; ends in a refusal where waiting is in vain (rule `recover.ready`). */
async function awaitRegeneration(node: PairNode, signal?: AbortSignal): Promise<void> {
  let shown = -1;
  let connectedMs = node.clock.nowMs();
  const check = (): true | null => {
    const views = node.views();
    const obstacles = giveObstacles(node, { regenerate: true, force: false });
    if (obstacles.length === 0) return true;
    if (views.every(({ connection }) => connection === 'connected')) connectedMs = node.clock.nowMs();
    const inVain =
      !node.livePeer() || !node.serving || views.some(isHopeless) || node.clock.nowMs() - connectedMs > node.policy.requestDeadlineMs;
    if (inVain) throw refusalBy(obstacles as [Block, ...Block[]]);
    node.retryLater();
    shown = showProgress(node, shown);
    return null;
  };
  await node.waitFor('the regeneration', longestWaitMs, check, signal);
}

function showProgress(node: PairNode, shown: number): number {
  const running = node.views().flatMap(({ resync }) => (resync ? [resync] : []));
  const doneBytes = running.reduce((sum, resync) => sum + resync.doneBytes, 0);
  if (running.length === 0 || doneBytes === shown) return shown;
  const totalBytes = running.reduce((sum, resync) => sum + resync.totalBytes, 0);
  const remaining = running.map((resync) => resync.remainingMs);
  const remainingMs = remaining.includes(null) ? null : Math.max(...remaining.map(Number));
  node.emit('recover:progressed', {
    class: 0,
    doneBytes,
    totalBytes,
    remainingMs,
    text: `regenerated ${String(doneBytes)} of ${String(totalBytes)} bytes`,
  });
  return doneBytes;
}

async function stopForHandover(node: PairNode, order: GiveOrder): Promise<void> {
  try {
    await node.service.stop(node.record.epoch.number, order.reason, { bestEffort: false, journalled: true });
  } catch (error) {
    if (node.serving) void startService(node, 'the hand-over could not begin');
    throw HotMirrorError.from(error, 'HM_STEP_FAILED', 'stopping the service');
  }
}

/** Ends serving on all mirrors and releases durably; serves on where that is not possible. */
async function release(node: PairNode, order: GiveOrder): Promise<void> {
  const { epoch } = node.record;
  const wasServing = node.serving;
  try {
    if (epoch.owner !== node.name) throw refusal('handover', 'this node lost the service meanwhile');
    requireReady(node, order);
    node.withoutOwnerSinceMs = node.clock.nowMs();
    await requireArbiter(node, epoch);
    if (wasServing) await endServing(node);
    const released: Epoch = { number: node.knownEpoch().number + 1, owner: node.peerName };
    await node.keeper.change('handover released', (record) => {
      if (compareEpochs(record.epoch, epoch) !== 'equal') throw refusal('handover', 'the epoch was raised meanwhile');
      return { ...record, released };
    });
  } catch (error) {
    node.withoutOwnerSinceMs = null;
    const mine = compareEpochs(node.record.epoch, epoch) === 'equal' && epoch.owner === node.name;
    if (wasServing && mine)
      await serve(node, { alone: false, force: false, rollBack: false, rule: 'handover', reason: 'the hand-over was given up' });
    throw error;
  }
  node.offer = { attempts: 0, force: order.force, sent: false };
  node.emit('service:stopped', { class: 0, rule: 'handover', epoch, text: `${node.name} released the service: ${order.reason}` });
}

/** Once released, nobody serves until the arbiter has answered: so it must be there before. */
async function requireArbiter(node: PairNode, epoch: Epoch): Promise<void> {
  if (!node.arbitration.automatic) return;
  const answer = await node.arbitration.bringUp(epoch);
  if (!answer.granted) throw refusal('arbiter.cas', answer.because);
}

async function endServing(node: PairNode): Promise<void> {
  node.serving = false;
  const lacking: string[] = [];
  const demoted = await node.orderAll('demotion', async (mirror) => {
    const { handedOver } = await mirror.demote();
    if (!handedOver) lacking.push(mirror.name);
  });
  if (!demoted || lacking.length > 0) throw refusal('handover', "the other node's elements do not hold everything");
}

/** Sends the offer once; called by every look while a release is open. */
export async function sendOffer(node: PairNode): Promise<void> {
  const { epoch: from, released: epoch } = node.record;
  if (!epoch) return;
  const { attempts, force } = node.offer;
  node.offer = { ...node.offer, attempts: attempts + 1 };
  if (node.arbitration.automatic) {
    const granted = await node.arbitration.grant(from, epoch);
    if (!granted.granted) {
      await withoutGrant(node, epoch, granted.because);
      return;
    }
  }
  node.offer = { ...node.offer, sent: true };
  const offer: HandoverOffer & { kind: 'handover' } = { kind: 'handover', epoch, from, final: attempts >= patientOffers, force };
  try {
    const body = await node.monitor.request(toJson(offer), { deadlineMs: node.policy.requestDeadlineMs, signal: node.ended.signal });
    await settleOffer(node, epoch, parseHandoverAnswer(body));
  } catch (error) {
    node.failed('the hand-over', error);
    node.retryLater();
  }
}

/** The arbiter went away after the release. An offer that was never sent binds nobody, so it may be taken back, in an epoch above it. */
async function withoutGrant(node: PairNode, offered: Epoch, because: string): Promise<void> {
  node.blockers = [{ rule: 'arbiter.cas', because }];
  node.retryLater();
  if (!node.offer.sent && node.offer.attempts >= patientOffers) await takeBack(node, offered, because);
}

/** Only a refusal that is durable at the taker gives the service back, and then in an epoch above the refused one. */
async function settleOffer(node: PairNode, offered: Epoch, { answer, because }: HandoverAnswer): Promise<void> {
  if (answer === 'later') {
    node.blockers = [{ rule: 'handover', because }];
    node.retryLater();
    return;
  }
  if (answer === 'accepted') {
    await node.adoptEpoch(offered, null, 'handover');
    return;
  }
  await takeBack(node, offered, because);
}

/** Everything released returns to this node in an epoch above; the boot table then makes it serve. */
async function takeBack(node: PairNode, offered: Epoch, because: string): Promise<void> {
  const next: Epoch = { number: node.knownEpoch().number + 1, owner: node.name };
  await node.keeper.change('handover taken back', (record) =>
    record.released && compareEpochs(record.released, offered) === 'equal' ? withEpoch(record, next) : record,
  );
  finished(node, offered, 'refused', because);
  await node.orderAll('raising the epoch', (mirror) => mirror.raiseEpoch(node.record.epoch));
}

/** Until the taker's service is up: nothing more can be done here, but the operator wants to know. */
async function awaitTaker(node: PairNode): Promise<void> {
  const limitMs = node.longestSequenceMs();
  await node.waitFor('the hand-over', limitMs, () => {
    const { epoch, released } = node.record;
    if (released) return null;
    if (epoch.owner === node.name) throw refusal('handover', 'the other node refused the service');
    const peer = node.livePeer();
    if (!peer) throw new HotMirrorError('HM_PEER_UNREACHABLE', 'the other node took the service over and no longer answers');
    if (peer.serving && peer.service === 'failed')
      throw new HotMirrorError('HM_STEP_FAILED', 'the service did not come up on the other node');
    return peer.serving && peer.service === 'running' ? true : null;
  });
}

/** The giver hears that the taker serves: the time without owner is over. */
export function noteTakerServes(node: PairNode): void {
  const peer = node.livePeer();
  if (node.withoutOwnerSinceMs === null || !peer?.serving || node.record.epoch.owner !== node.peerName) return;
  finished(node, node.record.epoch, 'given', `${node.peerName} serves`);
}

function finished(node: PairNode, epoch: Epoch, outcome: 'given' | 'taken' | 'refused', because: string): void {
  const since = node.withoutOwnerSinceMs;
  node.withoutOwnerSinceMs = null;
  node.emit('handover:finished', {
    class: outcome === 'refused' ? 0 : 2,
    rule: 'handover',
    epoch,
    outcome,
    withoutOwnerMs: since === null ? null : node.clock.nowMs() - since,
    text: `the hand-over of ${formatEpoch(epoch)} has ended: ${because}`,
  });
}

/** The taker's side: the epoch is durably this node's, or durably refused, before the answer goes out. */
export async function answerOffer(node: PairNode, offer: HandoverOffer): Promise<Json> {
  let decision = judgeOffer(offer, evidenceOf(node));
  await node.keeper.change('handover answered', (record) => {
    decision = judgeOffer(offer, evidenceOf(node));
    if (decision.answer === 'accept') return { ...withEpoch(record, offer.epoch), journal: record.journal };
    return decision.answer === 'refuse' ? { ...record, refused: Math.max(record.refused, offer.epoch.number) } : record;
  });
  if (decision.answer === 'accept') {
    node.taking = { epoch: offer.epoch, force: offer.force };
    node.wake();
  }
  const answer = decision.answer === 'refuse' ? 'refused' : decision.answer === 'later' ? 'later' : 'accepted';
  return toJson({ answer, because: decision.because });
}

function evidenceOf(node: PairNode): Parameters<typeof judgeOffer>[1] {
  const mirrors = node.views().map((view) => ({ name: view.name, element: node.trusted(view) }));
  return {
    node: node.name,
    record: node.record,
    mirrors,
    leaving: node.leaving || node.closed,
    handingBack: node.pendingHandBack?.granted ?? null,
  };
}

/** Serves what was handed over. */
export async function take(node: PairNode): Promise<void> {
  const taking = node.taking;
  node.taking = null;
  if (!taking || compareEpochs(node.record.epoch, taking.epoch) !== 'equal') return;
  const sinceMs = node.clock.nowMs();
  await serve(node, { alone: false, force: taking.force, rollBack: true, rule: 'handover', reason: `handed over by ${node.peerName}` });
  node.withoutOwnerSinceMs = sinceMs;
  finished(node, taking.epoch, 'taken', `${node.name} serves`);
}
