import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { PlatformAction, PlatformActions, PlatformStep, StepContext } from './platform-actions.ts';
import { platformSteps } from './platform-actions.ts';

/** A command line. */
export interface CommandLine {
  /** Program and arguments; no shell comes between. */
  readonly argv: readonly string[];
  /** Longest run; then its process group is ended. Default: as long as the caller waits. */
  readonly deadlineMs?: number | undefined;
}

/** The command line of one step. */
export interface StepCommand extends CommandLine {
  /** Exits with 0 when the step is in effect, 1 when not, anything else when that cannot be told. */
  readonly probe?: CommandLine | undefined;
  /** Exit codes that mean success. Default 0; for `fsck` also 1, which means that errors were corrected. For `fence` always and only 0. */
  readonly successCodes?: readonly number[] | undefined;
}

/** How a process ended. */
interface Outcome {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdoutTail: string;
  readonly stderrTail: string;
}

/** Of each stream the last bytes are kept, for the error. */
const tailBytes = 4096;
/** Between asking a process group to end and ending it. */
const killGraceMs = 2_000;
/** After the program has ended its last output is waited for; a daemon that it left behind may hold the pipes forever. */
const outputGraceMs = 100;

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
  const run = async (context: StepContext, signal: AbortSignal): Promise<void> => {
    const outcome = await execute(command, context, signal, clock);
    if (outcome.exitCode === null || !successCodes.includes(outcome.exitCode)) throw failure(step, outcome);
  };
  if (!probe) return { run };
  return {
    run,
    probe: async (context, signal) => {
      const { exitCode } = await execute(probe, context, signal, clock);
      return exitCode === 0 ? true : exitCode === 1 ? false : null;
    },
  };
}

/** Resolves when the program has ended by itself; rejects when it could not be started, took too long, or the caller gave up. */
function execute({ argv, deadlineMs }: CommandLine, context: StepContext, signal: AbortSignal, clock: Clock): Promise<Outcome> {
  signal.throwIfAborted();
  const [program = '', ...rest] = argv;
  // A group of its own, so that everything it started can be ended with it.
  const child = spawn(program, rest, { detached: true, shell: false, stdio: ['ignore', 'pipe', 'pipe'], env: environment(context) });
  return new Execution(child, clock, context.step, signal, deadlineMs).outcome;
}

/** One process from its start to its end. */
class Execution {
  readonly outcome: Promise<Outcome>;
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #timers: Timer[] = [];
  readonly #tails: { stdout: Buffer; stderr: Buffer } = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  /** Why the process is being ended; null while it may run on. */
  #ending: Error | null = null;
  #settle: { readonly resolve: (outcome: Outcome) => void; readonly reject: (error: Error) => void } | null = null;

  constructor(child: ChildProcess, clock: Clock, step: PlatformStep, signal: AbortSignal, deadlineMs: number | undefined) {
    this.#child = child;
    this.#clock = clock;
    const onAbort = (): void => this.#end(signal.reason as Error);
    this.outcome = new Promise<Outcome>((resolve, reject) => {
      this.#settle = { resolve, reject };
    }).finally(() => {
      signal.removeEventListener('abort', onAbort);
      for (const timer of this.#timers) timer.cancel();
      for (const name of ['stdout', 'stderr'] as const) child[name]?.destroy();
    });
    for (const name of ['stdout', 'stderr'] as const) child[name]?.on('data', (chunk: Buffer) => this.#keep(name, chunk));
    child.once('error', (error) =>
      this.#settle?.reject(new HotMirrorError('HM_STEP_FAILED', `${step} could not be started: ${error.message}`, { cause: error })),
    );
    child.once('exit', () => this.#after(outputGraceMs, () => this.#finish()));
    child.once('close', () => this.#finish());
    signal.addEventListener('abort', onAbort, { once: true });
    if (deadlineMs !== undefined) {
      const late = new HotMirrorError('HM_STEP_TIMEOUT', `${step} did not end within ${String(deadlineMs)} ms`);
      this.#after(deadlineMs, () => this.#end(late));
    }
  }

  #after(delayMs: number, fire: () => void): void {
    this.#timers.push(this.#clock.timer(delayMs, fire));
  }

  #keep(name: 'stdout' | 'stderr', chunk: Buffer): void {
    this.#tails[name] = Buffer.concat([this.#tails[name], chunk]).subarray(-tailBytes);
  }

  #finish(): void {
    if (this.#ending) {
      // What the program started may have outlived it.
      this.#signalGroup('SIGKILL');
      this.#settle?.reject(this.#ending);
      return;
    }
    const { exitCode, signalCode } = this.#child;
    this.#settle?.resolve({
      exitCode,
      signal: signalCode,
      stdoutTail: this.#tails.stdout.toString(),
      stderrTail: this.#tails.stderr.toString(),
    });
  }

  #end(because: Error): void {
    if (this.#ending) return;
    this.#ending = because;
    this.#signalGroup('SIGTERM');
    this.#after(killGraceMs, () => this.#signalGroup('SIGKILL'));
  }

  #signalGroup(signal: 'SIGTERM' | 'SIGKILL'): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The group is gone already.
    }
  }
}

function environment({ step, node, peer, reason, epoch, mirrors }: StepContext): NodeJS.ProcessEnv {
  return {
    ...process.env,
    HOTMIRROR_STEP: step,
    HOTMIRROR_NODE: node,
    HOTMIRROR_PEER: peer,
    HOTMIRROR_REASON: reason,
    HOTMIRROR_EPOCH: String(epoch),
    HOTMIRROR_MIRRORS: mirrors.join(' '),
  };
}

function failure(step: PlatformStep, { exitCode, signal, stdoutTail, stderrTail }: Outcome): HotMirrorError {
  const how = exitCode === null ? `was ended by ${String(signal)}` : `exited with ${String(exitCode)}`;
  const said = (stderrTail || stdoutTail).trim().split('\n').at(-1) ?? '';
  return new HotMirrorError('HM_STEP_FAILED', `${step} ${how}${said === '' ? '' : `: ${said}`}`, {
    details: { exitCode, signal, stdoutTail, stderrTail },
  });
}
