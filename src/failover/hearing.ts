import { compareEpochs } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import { healthNews } from '../health.ts';
import { retryMs } from './pair-node.ts';
import type { PairNode } from './pair-node.ts';
import { parseReport, reportedEpoch } from './peer-report.ts';
import type { PeerReport } from './peer-report.ts';
import type { MirrorPort, PeerAnswer } from './ports.ts';
import { refusal } from './refusal.ts';

/** The peer lives: a takeover that is not committed yet ends (rule `takeover.commit`), and so does a fence that has not succeeded yet. */
export function signOfLife(node: PairNode): void {
  node.takeover?.abort.abort(refusal('takeover.dead', 'the peer answered before the commit; a hand-over is possible now'));
  node.fencing?.abort(refusal('takeover.dead', 'the peer answered before it was fenced'));
}

/** An answer to a token. What must not wait for a decision happens here: leases, doubts, and the end of a service that lost its epoch. */
export function hearAnswer(node: PairNode, answer: PeerAnswer): void {
  signOfLife(node);
  if (!node.lastAnswer || node.lastAnswer.probeSentMs < answer.probeSentMs) node.lastAnswer = answer;
  doubtAfter(node, answer);
  const last = node.peerSeen;
  // Most answers say what the last one said, which needs no second check.
  const known = last && alike(last.report, answer.report) ? last.report : null;
  const report = known ?? parseReport(answer.report);
  if (report?.node !== node.peerName) {
    node.noteNonsense(new HotMirrorError('HM_PROTOCOL', `a token of ${node.peerName} carried a report that makes no sense`));
    return;
  }
  node.hearEpoch(reportedEpoch(report), report.record?.homes ?? null);
  if (provesOwnership(node, report)) {
    node.ownedAtMs = Math.max(node.ownedAtMs, answer.probeSentMs);
    for (const mirror of node.mirrors) mirror.renewLease({ probeSentMs: answer.probeSentMs });
  }
  // Of two links the slower one may bring an older word later.
  if (last && last.probeSentMs > answer.probeSentMs) return;
  node.peerSeen = { report, probeSentMs: answer.probeSentMs, heardMs: answer.heardMs };
  if (known || alike(last?.report, report)) return;
  for (const news of healthNews(node.peerName, last?.report.health ?? [], report.health ?? [])) node.emit('peer-health:changed', news);
  node.wake();
}

function alike(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Rule `serve.lease`: an answer that shows neither a higher epoch nor an intent to take over. */
function provesOwnership(node: PairNode, report: PeerReport): boolean {
  if (!node.serving) return false;
  const { epoch } = node.record;
  const order = compareEpochs(reportedEpoch(report), epoch);
  return (order === 'equal' || order === 'lower') && (report.record?.intent?.number ?? 0) <= epoch.number;
}

/** Rule `element.start`: the peer outlived the data link, so it may have gone on without this element. */
function doubtAfter(node: PairNode, { probeSentMs }: PeerAnswer): void {
  if (node.serving) return;
  for (const mirror of node.mirrors) {
    const { connection, lostAtMs, element, serving } = mirror.state();
    if (
      // One that still stops serving cannot be doubted yet, and says at once that it has done all it can.
      serving === 'no' &&
      element === 'uptodate' &&
      connection !== 'connected' &&
      lostAtMs !== null &&
      probeSentMs > lostAtMs &&
      !node.doubted.has(mirror.name)
    )
      doubt(node, mirror, 'the peer answered after the data link was lost');
  }
}

/** The loss of a data link may be learnt after the answer that proves that the peer outlived it. */
export function doubtAfterLoss(node: PairNode): void {
  if (node.lastAnswer) doubtAfter(node, node.lastAnswer);
}

/**
 * This node stood still so long that its peer may have gone on without it: its own elements may be out of date (rules `element.start`, `watch.pause`), also
 * those that what still lies in the socket would make `uptodate`. Where it serves, a higher epoch tells it so; until its peer answers it does not go on alone.
 */
export function doubtAfterPause(node: PairNode, lateMs: number): void {
  const nowMs = node.clock.nowMs();
  const { deadlineMs } = node.monitor.freshSilence(nowMs);
  // The peer heard this node no earlier than when the last probe was sent that it answered. The lateness alone counts from when the monitor was due.
  const unheardMs = nowMs - (node.lastAnswer?.probeSentMs ?? -Infinity);
  if (Math.max(lateMs, unheardMs) <= deadlineMs / 2) return;
  node.stoodStillAtMs = node.clock.nowMs();
  if (node.serving) return;
  for (const mirror of node.mirrors) doubt(node, mirror, `this node stood still for ${String(Math.round(lateMs))} ms`);
}

/** Counts at once here, until the mirror has confirmed it or proved it wrong. The latest doubt counts: what settles an earlier one may be older. */
function doubt(node: PairNode, mirror: MirrorPort, because: string): void {
  const number = node.doubts + 1;
  node.doubts = number;
  node.doubted.set(mirror.name, number);
  settleDoubt(node, mirror, because, number);
}

function settleDoubt(node: PairNode, mirror: MirrorPort, because: string, number: number): void {
  const latest = (): boolean => node.doubted.get(mirror.name) === number;
  const settled = (): void => {
    if (!latest()) return;
    node.doubted.delete(mirror.name);
    node.wake();
  };
  node
    .order(mirror, 'doubt', () => mirror.doubt(because))
    .then(settled, (error: unknown) => {
      if (!latest()) return;
      node.failed(`doubting mirror ${mirror.name}`, error);
      node.afterDelay(retryMs, () => {
        if (latest()) settleDoubt(node, mirror, because, number);
      });
    });
}
