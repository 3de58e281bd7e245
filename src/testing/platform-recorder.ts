import { HotMirrorError } from '../errors.ts';
import type { PlatformAction, PlatformActions, PlatformCapabilities, PlatformStep, StepContext } from '../platform/platform-actions.ts';
import { platformSteps } from '../platform/platform-actions.ts';

/** What becomes of a run of a step. */
export type ScriptedOutcome =
  /** It takes effect and succeeds. */
  | 'succeed'
  /** It takes no effect and fails. */
  | 'fail'
  /** It takes effect and fails all the same: the answer was lost. */
  | 'fail-in-effect'
  /** It succeeds without effect: the probe tells the truth. */
  | 'succeed-without-effect'
  /** It never ends unless it is aborted. */
  | 'hang';

/** One run of a step. */
export interface RecordedStep {
  readonly step: PlatformStep;
  readonly context: StepContext;
  readonly outcome: ScriptedOutcome;
}

/** What undoes what, so that a probe can tell. */
const opposites: Readonly<Partial<Record<PlatformStep, PlatformStep>>> = {
  attach: 'detach',
  mount: 'unmount',
  startServices: 'stopServices',
  enableLogins: 'disableLogins',
  detach: 'attach',
  unmount: 'mount',
  stopServices: 'startServices',
  disableLogins: 'enableLogins',
};

/** A platform that records what it is told and does what a script says; steps that the script does not name succeed. */
export class PlatformRecorder implements PlatformActions {
  readonly capabilities: PlatformCapabilities;
  readonly actions: Readonly<Partial<Record<PlatformStep, PlatformAction>>>;
  /** Every run, oldest first. */
  readonly runs: RecordedStep[] = [];
  readonly #script = new Map<PlatformStep, ScriptedOutcome[]>();
  readonly #inEffect = new Set<PlatformStep>();
  readonly #tookEffect: (step: PlatformStep) => void;

  /** `tookEffect` is told of each step that takes effect. */
  constructor(options: { readonly fence?: boolean; readonly probes?: boolean; readonly tookEffect?: (step: PlatformStep) => void } = {}) {
    const { fence = false, probes = true, tookEffect = () => undefined } = options;
    this.#tookEffect = tookEffect;
    this.capabilities = { fence };
    const steps = platformSteps.filter((step) => fence || step !== 'fence');
    this.actions = Object.fromEntries(steps.map((step) => [step, this.#action(step, probes)]));
  }

  /** What the next runs of a step come to, one each; afterwards it succeeds again. */
  script(step: PlatformStep, ...outcomes: readonly ScriptedOutcome[]): void {
    this.#script.set(step, [...(this.#script.get(step) ?? []), ...outcomes]);
  }

  /** Names of the steps that ran, oldest first. */
  get steps(): readonly PlatformStep[] {
    return this.runs.map(({ step }) => step);
  }

  /** Whether a step's effect is there now. */
  isInEffect(step: PlatformStep): boolean {
    return this.#inEffect.has(step);
  }

  /** The machine went down: nothing is in effect any more. */
  powerOff(): void {
    this.#inEffect.clear();
  }

  #action(step: PlatformStep, probes: boolean): PlatformAction {
    const run = (context: StepContext, signal: AbortSignal): Promise<void> => this.#run(step, context, signal);
    const probed = probes && opposites[step] !== undefined;
    return probed ? { run, probe: () => Promise.resolve(this.#inEffect.has(step)) } : { run };
  }

  #run(step: PlatformStep, context: StepContext, signal: AbortSignal): Promise<void> {
    const outcome = this.#script.get(step)?.shift() ?? 'succeed';
    this.runs.push({ step, context, outcome });
    if (outcome === 'hang') {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    }
    if (outcome === 'succeed' || outcome === 'fail-in-effect') this.#takeEffect(step);
    if (outcome === 'fail' || outcome === 'fail-in-effect') {
      return Promise.reject(new HotMirrorError('HM_STEP_FAILED', `${step} failed as scripted`));
    }
    return Promise.resolve();
  }

  #takeEffect(step: PlatformStep): void {
    const opposite = opposites[step];
    if (opposite !== undefined) this.#inEffect.delete(opposite);
    this.#inEffect.add(step);
    this.#tookEffect(step);
  }
}
