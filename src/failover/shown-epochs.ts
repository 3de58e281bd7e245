import type { Epoch } from '../epoch.ts';
import type { PairNode } from './pair-node.ts';
import { reportedEpoch } from './peer-report.ts';

/** The epochs that were shown to this node: by anyone, by the peer's last report, by its own elements and their data links. Its record may not have followed them yet. */
export function shownEpochs(node: PairNode): readonly Epoch[] {
  const peer = node.peerSeen && reportedEpoch(node.peerSeen.report);
  const own = node.views().flatMap(({ epoch, rival }) => (rival ? [epoch, rival] : [epoch]));
  return [node.heard.epoch, ...(peer ? [peer] : []), ...own];
}
