import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';

/** A command line. */
export interface CommandLine {
  /** Program and arguments; no shell comes between. */
  readonly argv: readonly string[];
  /** Longest run; then its process group is ended. Default: as long as the caller waits. */
  readonly deadlineMs?: number | undefined;
}

/** How a program is run. */
export interface ProgramRun {
  /** What it is called in errors. */
  readonly what: string;
  /** In its environment, beside those of this process. */
  readonly variables: Readonly<Record<string, string>>;
  /** Ends it with all that it started. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** How a process ended. */
export interface Outcome {
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

/** Resolves when the program has ended by itself; rejects when it could not be started, took too long, or the caller gave up. */
export function execute({ argv, deadlineMs }: CommandLine, run: ProgramRun): Promise<Outcome> {
  const { what, variables, signal, clock } = run;
  signal.throwIfAborted();
  const [program = '', ...rest] = argv;
  const env = { ...process.env, ...variables };
  // A group of its own, so that everything it started can be ended with it.
  const child = spawn(program, rest, { detached: true, shell: false, stdio: ['ignore', 'pipe', 'pipe'], env });
  return new Execution(child, clock, what, signal, deadlineMs).outcome;
}

/** How a program ended, with the last line that it said. */
export function endOf({ exitCode, signal, stdoutTail, stderrTail }: Outcome): string {
  const how = exitCode === null ? `was ended by ${String(signal)}` : `exited with ${String(exitCode)}`;
  const said = (stderrTail || stdoutTail).trim().split('\n').at(-1) ?? '';
  return `${how}${said === '' ? '' : `: ${said}`}`;
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

  constructor(child: ChildProcess, clock: Clock, what: string, signal: AbortSignal, deadlineMs: number | undefined) {
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
      this.#settle?.reject(new HotMirrorError('HM_STEP_FAILED', `${what} could not be started: ${error.message}`, { cause: error })),
    );
    child.once('exit', () => this.#after(outputGraceMs, () => this.#finish()));
    child.once('close', () => this.#finish());
    signal.addEventListener('abort', onAbort, { once: true });
    if (deadlineMs !== undefined) {
      const late = new HotMirrorError('HM_STEP_TIMEOUT', `${what} did not end within ${String(deadlineMs)} ms`);
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
