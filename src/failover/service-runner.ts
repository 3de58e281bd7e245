import pRetry, { AbortError } from 'p-retry';

import type { Clock } from '../clock/clock.ts';
import { sleep } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { PlatformAction, PlatformActions, PlatformStep, StepContext } from '../platform/platform-actions.ts';
import { beginJournal, endJournal, mayBeUp, resumes, stepBegins, stepEnds } from './journal.ts';
import type { Journal } from './pair-record.ts';
import type { ServiceState } from './peer-report.ts';
import { startSteps, stopSteps, undoes } from './plan.ts';
import { within } from '../clock/within.ts';

/** What a runner needs of its surroundings. */
export interface ServiceRunnerOptions {
  readonly clock: Clock;
  readonly platform: PlatformActions;
  readonly stepDeadlineMs: number;
  readonly stepRetries: number;
  /** Names that every step is told. */
  readonly context: Omit<StepContext, 'step' | 'reason' | 'epoch'>;
  /** The journal that is durable now. */
  readonly journal: () => Journal | null;
  /** Makes a journal durable. */
  readonly record: (journal: Journal) => Promise<unknown>;
  /** Told of each step; `failed` is for good. */
  readonly onStep: (event: 'started' | 'finished' | 'failed', step: StepNews) => void;
  readonly onState: () => void;
}

/** What happened to a step. */
export interface StepNews {
  readonly step: PlatformStep;
  readonly sequence: 'start' | 'stop' | 'fence';
  readonly attempt: number;
  readonly error?: HotMirrorError;
}

/** How a service is stopped. */
export interface StopOptions {
  /** Go on after a step that failed and after a journal that could not be written: the service is no longer this node's. */
  readonly bestEffort: boolean;
  /** False: nothing new is recorded. */
  readonly journalled: boolean;
}

/** Waits between attempts: doubled each time, up to the longest. */
const firstBackoffMs = 500;
/** Longest wait between two attempts of a step. */
export const longestBackoffMs: number = 30_000;

/** Runs the steps of the platform, one sequence at a time, each step journalled, limited in time, retried, and resumed after a crash. */
export class ServiceRunner {
  readonly #options: ServiceRunnerOptions;
  #state: ServiceState = 'stopped';
  /** The sequence that runs or ran last. */
  #running: { readonly abort: AbortController; readonly ended: Promise<unknown> } | null = null;
  /** Steps that this process has seen done and nothing has undone since. */
  readonly #inEffect = new Set<PlatformStep>();

  constructor(options: ServiceRunnerOptions) {
    this.#options = options;
  }

  get state(): ServiceState {
    return this.#state;
  }

  /**
   * Brings the service up, or goes on with that. Rejects with `HM_STEP_FAILED` (nothing above the failed step is enabled), or `HM_ABORTED` when
   * the service is stopped meanwhile.
   */
  start(epoch: number, reason: string): Promise<void> {
    return this.#sequence('starting', (signal) => this.#start(epoch, reason, signal), 'running');
  }

  /** Takes the service down, ending a start that runs. Rejects with `HM_STEP_FAILED` unless best effort is enough. */
  stop(epoch: number, reason: string, options: StopOptions): Promise<void> {
    return this.#sequence('stopping', (signal) => this.#stop(epoch, reason, options, signal), 'stopped');
  }

  /** Runs the fence. Rejects unless it succeeded. */
  fence(epoch: number, reason: string, signal: AbortSignal): Promise<void> {
    return this.#run('fence', 'fence', this.#context('fence', epoch, reason), signal, false);
  }

  /** Abandons whatever runs; for `close`. */
  async end(): Promise<void> {
    const running = this.#running;
    running?.abort.abort(new HotMirrorError('HM_ABORTED', 'the steps were ended'));
    await running?.ended;
  }

  #sequence(during: ServiceState, work: (signal: AbortSignal) => Promise<void>, after: ServiceState): Promise<void> {
    const earlier = this.#running;
    earlier?.abort.abort(new HotMirrorError('HM_ABORTED', 'another sequence of steps takes precedence'));
    const abort = new AbortController();
    const enter = (state: ServiceState): void => {
      // Of a sequence that another has replaced nobody wants to know the end.
      if (this.#running?.abort === abort) this.#enter(state);
    };
    const outcome = (async () => {
      await earlier?.ended;
      abort.signal.throwIfAborted();
      await work(abort.signal);
    })();
    const ended = outcome.then(
      () => enter(after),
      () => enter('failed'),
    );
    this.#running = { abort, ended };
    enter(during);
    return Promise.all([outcome, ended]).then(() => undefined);
  }

  #enter(state: ServiceState): void {
    this.#state = state;
    this.#options.onState();
  }

  async #start(epoch: number, reason: string, signal: AbortSignal): Promise<void> {
    const known = this.#options.journal();
    const probeFirst = mayBeUp(known);
    let journal = resumes(known, epoch) ? { ...known, running: null, state: 'running' as const } : beginJournal('start', epoch, reason);
    if (!journal.done.includes('notify')) {
      await this.#notify(epoch, reason, signal);
      journal = stepEnds(journal, 'notify');
    }
    for (const step of startSteps) {
      if (this.#inEffect.has(step) || (probeFirst && (await this.#isInEffect(step, epoch, reason, signal)))) {
        journal = stepEnds(journal, step);
        continue;
      }
      journal = await this.#journalled(step, 'start', journal, { epoch, reason, probeFirst }, signal);
    }
    await this.#record(endJournal(journal, 'done'), signal);
    await this.#notify(epoch, `the service is up on ${this.#options.context.node}: ${reason}`, signal);
  }

  async #stop(epoch: number, reason: string, options: StopOptions, signal: AbortSignal): Promise<void> {
    let journal = beginJournal('stop', epoch, reason);
    for (const step of stopSteps) {
      for (const undone of undoes[step] ?? []) this.#inEffect.delete(undone);
      try {
        if (options.journalled) journal = await this.#journalled(step, 'stop', journal, { epoch, reason, probeFirst: false }, signal);
        else await this.#run(step, 'stop', this.#context(step, epoch, reason), signal, false);
      } catch (error) {
        if (!options.bestEffort || signal.aborted) throw error;
      }
    }
    if (!options.journalled) return;
    const recorded = this.#record(endJournal(journal, 'done'), signal);
    await (options.bestEffort ? recorded.catch(() => undefined) : recorded);
  }

  /** One step between its two entries in the journal. */
  async #journalled(
    step: PlatformStep,
    sequence: 'start' | 'stop',
    journal: Journal,
    how: { readonly epoch: number; readonly reason: string; readonly probeFirst: boolean },
    signal: AbortSignal,
  ): Promise<Journal> {
    const begun = stepBegins(journal, step);
    await this.#record(begun, signal);
    try {
      await this.#run(step, sequence, this.#context(step, how.epoch, how.reason), signal, how.probeFirst);
    } catch (error) {
      if (!signal.aborted) await this.#failed(step, endJournal(begun, 'failed'), how, signal);
      throw error;
    }
    if (sequence === 'start') this.#inEffect.add(step);
    const ended = stepEnds(begun, step);
    await this.#record(ended, signal);
    return ended;
  }

  async #failed(
    step: PlatformStep,
    journal: Journal,
    how: { readonly epoch: number; readonly reason: string },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#record(journal, signal).catch(() => undefined);
    await this.#notify(how.epoch, `${step} failed on ${this.#options.context.node} and nothing above it was done: ${how.reason}`, signal);
  }

  /** After a crash: what the journal calls done may have died with the process, so only a probe counts. */
  async #isInEffect(step: PlatformStep, epoch: number, reason: string, signal: AbortSignal): Promise<boolean> {
    // A mounted file system must not be checked again.
    const asked: PlatformStep = step === 'fsck' ? 'mount' : step;
    const action = this.#options.platform.actions[asked];
    return action !== undefined && (await this.#probe(action, this.#context(asked, epoch, reason), signal)) === true;
  }

  /** One step with its retries. */
  async #run(
    step: PlatformStep,
    sequence: StepNews['sequence'],
    context: StepContext,
    signal: AbortSignal,
    probeFirst: boolean,
  ): Promise<void> {
    const { clock, platform, stepDeadlineMs, onStep } = this.#options;
    const action = platform.actions[step];
    let attempts = 0;
    const attempt = async (): Promise<void> => {
      attempts += 1;
      onStep('started', { step, sequence, attempt: attempts });
      if (!action) return;
      if ((probeFirst || attempts > 1) && (await this.#probe(action, context, signal)) === true) return;
      await within(clock, { deadlineMs: stepDeadlineMs, code: 'HM_STEP_TIMEOUT', what: step, signal }, (inner) =>
        action.run(context, inner),
      );
    };
    try {
      await this.#retried(attempt, signal);
    } catch (error) {
      signal.throwIfAborted();
      const failure = HotMirrorError.from(error, 'HM_STEP_FAILED', step);
      onStep('failed', { step, sequence, attempt: attempts, error: failure });
      throw failure;
    }
    onStep('finished', { step, sequence, attempt: attempts });
  }

  /** An entry of the journal: no step is run, and none counts as done, without it. */
  async #record(journal: Journal, signal: AbortSignal): Promise<void> {
    await this.#retried(() => this.#options.record(journal), signal);
    signal.throwIfAborted();
  }

  /** Tries again after a growing wait, as often as configured; ends with the signal. */
  async #retried(attempt: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
    const { clock, stepRetries } = this.#options;
    const once = async (): Promise<void> => {
      try {
        await attempt();
      } catch (error) {
        throw signal.aborted ? new AbortError(asError(signal.reason)) : asError(error);
      }
    };
    await pRetry(once, {
      retries: stepRetries,
      minTimeout: 0,
      factor: 1,
      onFailedAttempt: ({ attemptNumber, retriesLeft }) =>
        retriesLeft > 0 ? sleep(clock, Math.min(longestBackoffMs, firstBackoffMs * 2 ** (attemptNumber - 1)), signal) : undefined,
    });
  }

  /** A probe that fails or hangs tells nothing. */
  async #probe(action: PlatformAction, context: StepContext, signal: AbortSignal): Promise<boolean | null> {
    if (!action.probe) return null;
    const limit = {
      deadlineMs: this.#options.stepDeadlineMs,
      code: 'HM_STEP_TIMEOUT',
      what: `the probe of ${context.step}`,
      signal,
    } as const;
    return within(this.#options.clock, limit, async (inner) => action.probe?.(context, inner) ?? null).catch(() => null);
  }

  /** A message that cannot be delivered must not keep the service down. */
  async #notify(epoch: number, reason: string, signal: AbortSignal): Promise<void> {
    await this.#run('notify', 'start', this.#context('notify', epoch, reason), signal, false).catch(() => undefined);
    signal.throwIfAborted();
  }

  #context(step: PlatformStep, epoch: number, reason: string): StepContext {
    return { ...this.#options.context, step, reason, epoch };
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new HotMirrorError('HM_STEP_FAILED', String(error));
}
