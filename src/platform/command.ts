import type { Clock } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { PlatformAction, PlatformActions, PlatformStep, StepContext } from './platform-actions.ts';
import { platformSteps } from './platform-actions.ts';
import { endOf, execute } from './program.ts';
import type { CommandLine, Outcome, ProgramRun } from './program.ts';

export type { CommandLine } from './program.ts';

/** The command line of one step. */
export interface StepCommand extends CommandLine {
  /** Exits with 0 when the step is in effect, 1 when not, anything else when that cannot be told. */
  readonly probe?: CommandLine | undefined;
  /** Exit codes that mean success. Default 0; for `fsck` also 1, which means that errors were corrected. For `fence` always and only 0. */
  readonly successCodes?: readonly number[] | undefined;
}

const defaultSuccessCodes: Readonly<Partial<Record<PlatformStep, readonly number[]>>> = { fsck: [0, 1] };

/**
 * A platform that carries its steps out by configured command lines; steps that are missing succeed at once. Each runs in a process group of its own
 * with `HOTMIRROR_STEP`, `_NODE`, `_PEER`, `_REASON`, `_EPOCH` and `_MIRRORS` (separated by spaces) in its environment, and no standard input.
 *
 * Throws `RangeError` for a command line without a program.
 */
export function commandPlatform(commands: Readonly<Partial<Record<PlatformStep, StepCommand | undefined>>>, clock: Clock): PlatformActions {
  const configured = platformSteps.flatMap((step) => {
    const command = commands[step];
    return command ? [[step, commandAction(step, command, clock)] as const] : [];
  });
  return { capabilities: { fence: commands.fence !== undefined }, actions: Object.fromEntries(configured) };
}

function commandAction(step: PlatformStep, command: StepCommand, clock: Clock): PlatformAction {
  const { probe } = command;
  for (const line of [command, probe]) if (line && !line.argv[0]) throw new RangeError(`the command line of ${step} names no program`);
  const successCodes = step === 'fence' ? [0] : (command.successCodes ?? defaultSuccessCodes[step] ?? [0]);
  const runOf = (context: StepContext, signal: AbortSignal): ProgramRun => ({
    what: step,
    variables: variablesOf(context),
    signal,
    clock,
  });
  const run = async (context: StepContext, signal: AbortSignal): Promise<void> => {
    const outcome = await execute(command, runOf(context, signal));
    if (outcome.exitCode === null || !successCodes.includes(outcome.exitCode)) throw failure(step, outcome);
  };
  if (!probe) return { run };
  return {
    run,
    probe: async (context, signal) => {
      const { exitCode } = await execute(probe, runOf(context, signal));
      return exitCode === 0 ? true : exitCode === 1 ? false : null;
    },
  };
}

function variablesOf({ step, node, peer, reason, epoch, mirrors }: StepContext): ProgramRun['variables'] {
  return {
    HOTMIRROR_STEP: step,
    HOTMIRROR_NODE: node,
    HOTMIRROR_PEER: peer,
    HOTMIRROR_REASON: reason,
    HOTMIRROR_EPOCH: String(epoch),
    HOTMIRROR_MIRRORS: mirrors.join(' '),
  };
}

function failure(step: PlatformStep, outcome: Outcome): HotMirrorError {
  return new HotMirrorError('HM_STEP_FAILED', `${step} ${endOf(outcome)}`, { details: { ...outcome } });
}
