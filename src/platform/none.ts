import type { PlatformAction, PlatformActions, PlatformCapabilities, PlatformStep, StepContext } from './platform-actions.ts';
import { platformSteps } from './platform-actions.ts';

/** A platform that does nothing: every step succeeds and is told to `log`. There is no fence. */
export class NonePlatform implements PlatformActions {
  readonly capabilities: PlatformCapabilities = { fence: false };
  readonly actions: Readonly<Partial<Record<PlatformStep, PlatformAction>>>;

  constructor(log: (context: StepContext) => void) {
    const action: PlatformAction = {
      run(context) {
        log(context);
        return Promise.resolve();
      },
    };
    this.actions = Object.fromEntries(platformSteps.filter((step) => step !== 'fence').map((step) => [step, action]));
  }
}
