import type { PlatformAction, PlatformActions, PlatformStep } from './platform-actions.ts';
import { platformSteps } from './platform-actions.ts';

/** A platform on which every step but the fence succeeds and is told: for pairs whose service needs nothing from the operating system. */
export function nonePlatform(tell: (text: string) => void): PlatformActions {
  const action: PlatformAction = {
    run: ({ step, reason }) => {
      tell(`${step}: nothing is configured (${reason})`);
      return Promise.resolve();
    },
  };
  const steps = platformSteps.filter((step) => step !== 'fence');
  const actions = Object.fromEntries(steps.map((step) => [step, action])) as Partial<Record<PlatformStep, PlatformAction>>;
  return { capabilities: { fence: false }, actions };
}
