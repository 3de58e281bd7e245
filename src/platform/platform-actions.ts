/** The steps of taking over and giving back, in the seed's words and order. */
export type PlatformStep =
  | 'notify'
  | 'attach'
  | 'fsck'
  | 'mount'
  | 'startServices'
  | 'enableLogins'
  | 'disableLogins'
  | 'stopServices'
  | 'unmount'
  | 'detach'
  | 'fence';

/** All steps, for tables and checks. */
export const platformSteps: readonly PlatformStep[] = [
  'notify',
  'attach',
  'fsck',
  'mount',
  'startServices',
  'enableLogins',
  'disableLogins',
  'stopServices',
  'unmount',
  'detach',
  'fence',
];

/** What a step is told about why it runs. All of it is plain data. */
export interface StepContext {
  readonly node: string;
  readonly peer: string;
  readonly step: PlatformStep;
  /** Why the step runs, in words, such as "takeover: alpha is down". */
  readonly reason: string;
  /** The pair's epoch number. */
  readonly epoch: number;
  /** Names of the mirrors. */
  readonly mirrors: readonly string[];
}

/** One step of a platform. */
export interface PlatformAction {
  /**
   * Carries the step out. Idempotent: run again after it took effect, it succeeds and changes nothing.
   * Rejects with `HM_STEP_FAILED`; gives up and rejects when the signal aborts. "Unreachable" is no success of `fence`.
   */
  run(context: StepContext, signal: AbortSignal): Promise<void>;
  /** Whether the step is in effect now. Absent or null: cannot be told, so the step is run again after a crash. */
  probe?(context: StepContext, signal: AbortSignal): Promise<boolean | null>;
}

/**
 * What the operating system does for the service: telling administrators, attaching and checking devices, mounting, services, logins, and their opposites.
 *
 * Contract:
 * - A step that is missing succeeds and is logged as not configured. A missing `fence` means that there is no fencing, and `check` says so.
 * - Steps run one at a time. Each may be run again after a crash of the orchestrator, so each is idempotent or has a probe.
 */
export interface PlatformActions {
  readonly capabilities: PlatformCapabilities;
  readonly actions: Readonly<Partial<Record<PlatformStep, PlatformAction>>>;
}

/** What a platform can do. */
export interface PlatformCapabilities {
  /** `fence` is there and proves that the peer can no longer write. */
  readonly fence: boolean;
}
