import type { InvariantName, WatcherFactory } from '../watcher.ts';
import { convergence } from './convergence.ts';
import { differenceKnown } from './difference-known.ts';
import { noLostWrite } from './no-lost-write.ts';
import { oneDiskFails } from './one-disk-fails.ts';
import { oneOwner } from './one-owner.ts';
import { readsLinear } from './reads-linear.ts';
import { resyncEnds } from './resync-ends.ts';
import { rollBackTrue } from './roll-back-true.ts';
import { ruleCited } from './rule-cited.ts';
import { targetPossible } from './target-possible.ts';
import { verifyTrue } from './verify-true.ts';

/** The watcher of every invariant. */
export const allWatchers: Readonly<Record<InvariantName, WatcherFactory>> = {
  'no-lost-write': noLostWrite,
  'one-owner': oneOwner,
  'difference-known': differenceKnown,
  'target-possible': targetPossible,
  'resync-ends': resyncEnds,
  'rule-cited': ruleCited,
  convergence,
  'reads-linear': readsLinear,
  'verify-true': verifyTrue,
  'roll-back-true': rollBackTrue,
  'one-disk-fails': oneDiskFails,
};

/** What each invariant promises, in one sentence. */
export const invariantPromises: Readonly<Record<InvariantName, string>> = {
  'no-lost-write':
    'No acknowledged write is lost: no read, and at the end no element, holds anything older, or anything that nobody wrote.',
  'one-owner':
    'Never do two nodes both answer: replies come from the owner of the highest epoch that has answered, where the policy promises it.',
  'difference-known': 'Where the elements differ, a durable dirty bit or activity log entry of one of them says so.',
  'target-possible': 'A passive element that counts as complete is in a state that its source could have been in.',
  'resync-ends':
    'A resync whose nodes run, whose data link is open, and which nobody paused, ends within 60 deadlines, and one more for each MiB.',
  'rule-cited': 'Every decision, and every refusal of an order, cites a rule that exists.',
  convergence: 'When faults have stopped, one node serves, and both elements and pair records are the same.',
  'reads-linear': 'A read finds the last acknowledged write or one that was under way at the same time, as from one register.',
  'verify-true': 'A verify finds nothing different where every disk can be read, whatever is written meanwhile.',
  'roll-back-true': 'An element that was rolled back holds what it held when the resync began that was taken back.',
  'one-disk-fails': 'A disk that fails under the serving node ends no service and fails no request while the other node holds everything.',
};
