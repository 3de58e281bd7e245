import type { PlatformStep } from '../platform/platform-actions.ts';

/** What brings the service up, in the seed's order (semantics 7). The second notification is a step of its own at the end. */
export const startSteps: readonly PlatformStep[] = ['attach', 'fsck', 'mount', 'startServices', 'enableLogins'];

/** What takes it down: its users first, then logins, then the file system, then the device (semantics 8). */
export const stopSteps: readonly PlatformStep[] = ['stopServices', 'disableLogins', 'unmount', 'detach'];

/** What each step of {@link stopSteps} undoes. */
export const undoes: Readonly<Partial<Record<PlatformStep, readonly PlatformStep[]>>> = {
  stopServices: ['startServices'],
  disableLogins: ['enableLogins'],
  unmount: ['mount', 'fsck'],
  detach: ['attach'],
};

/** One step of a plan, as it is shown to an operator. */
export interface PlannedStep {
  readonly node: string;
  readonly step: PlatformStep | 'seal' | 'arbiter' | 'commit' | 'promote' | 'regenerate' | 'demote' | 'release' | 'accept';
}

/** What each step of a plan does, for people. */
export const stepWords: Readonly<Record<PlannedStep['step'], string>> = {
  notify: 'tells the administrators',
  fence: 'makes sure that the other node serves no more',
  attach: 'gives the mirrors to the operating system',
  fsck: 'checks the file systems',
  mount: 'mounts them',
  startServices: 'starts the services',
  enableLogins: 'lets users in',
  stopServices: 'stops the services',
  disableLogins: 'keeps users out',
  unmount: 'unmounts the file systems',
  detach: 'takes the mirrors from the operating system',
  regenerate: 'waits until the other elements are up to date',
  demote: 'serves the mirrors no more, everything written',
  release: 'hands the next epoch over, durably',
  seal: 'takes nothing from the other node any more',
  arbiter: 'asks the arbiter',
  commit: 'makes the next epoch durable: from here on the service is its own',
  accept: 'takes the next epoch over, durably',
  promote: 'serves the mirrors in the next epoch',
};

/** How the service would move: by hand-over between two living nodes, or by takeover from a dead one. */
export type Way = 'handover' | 'takeover';

/** What would run now. */
export function planMove(
  way: Way,
  giver: string,
  taker: string,
  has: { readonly arbiter: boolean; readonly fence: boolean },
): readonly PlannedStep[] {
  const at = (node: string, steps: readonly PlannedStep['step'][]): PlannedStep[] => steps.map((step) => ({ node, step }));
  const start = at(taker, ['notify', ...startSteps, 'notify']);
  const arbiter: PlannedStep['step'][] = has.arbiter ? ['arbiter'] : [];
  if (way === 'takeover') {
    const fence: PlannedStep['step'][] = has.fence ? ['fence'] : [];
    return [...at(taker, ['seal', ...arbiter, ...fence, 'commit', 'promote']), ...start];
  }
  return [...at(giver, ['regenerate', ...stopSteps, 'demote', 'release', ...arbiter]), ...at(taker, ['accept', 'promote']), ...start];
}
