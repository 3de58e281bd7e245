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
