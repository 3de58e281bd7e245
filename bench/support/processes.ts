import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';

import { systemClock } from '../../src/clock/system-clock.ts';
import { sleep } from '../../src/clock/clock.ts';
import { ownEnvironment } from '../../test/support/environment.ts';

const pollMs = 20;
const patienceMs = 60_000;
const keptText = 4_000;
const interrupted = 130;

/** A program that was started. */
export interface Started {
  readonly pid: number;
  /** Its standard output, when it has ended; rejects where it failed. */
  readonly ended: Promise<string>;
}

/**
 * A folder, and the programs that work in it. Neither outlives this process: what a handler cannot see to, as `kill -9`, the kernel does
 * (`setpriv --pdeathsig`, which then becomes the program itself).
 */
export class Workplace {
  readonly folder: string;
  readonly #running = new Set<ChildProcess>();
  readonly #clear = (): void => this.#endNow();

  constructor(parent: string) {
    this.folder = mkdtempSync(path.join(parent, 'hotmirror-bench-'));
    process.on('exit', this.#clear);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) if (process.listenerCount(signal) === 0) process.on(signal, leave);
  }

  file(...names: readonly string[]): string {
    return path.join(this.folder, ...names);
  }

  start(program: string, args: readonly string[]): Started {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...args], {
      cwd: this.folder,
      env: ownEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-keptText)));
    const ended = new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        this.#running.delete(child);
        if (code === 0) resolve(stdout);
        else reject(new Error(`${program} ${args.join(' ')} ended with ${String(code ?? signal)}: ${stderr}${stdout.slice(-keptText)}`));
      });
    });
    // A server fails its waiter, or is ended on purpose.
    ended.catch(() => undefined);
    return { pid: child.pid!, ended };
  }

  /** Runs a program to its end; gives what it printed. */
  run(program: string, args: readonly string[]): Promise<string> {
    return this.start(program, args).ended;
  }

  /** Waits for something that a server brings about; rejects when the server ends first. */
  async until(what: string, server: Started, holds: () => Promise<boolean>): Promise<void> {
    const ended = server.ended.then(() => Promise.reject(new Error(`it ended before ${what}`)));
    ended.catch(() => undefined);
    const limitMs = systemClock.nowMs() + patienceMs;
    while (!(await Promise.race([holds(), ended]))) {
      if (systemClock.nowMs() > limitMs) throw new Error(`${what} did not come about`);
      await sleep(systemClock, pollMs);
    }
  }

  /** Ends every program that still runs, and removes the folder. */
  async end(): Promise<void> {
    process.off('exit', this.#clear);
    const gone = [...this.#running].map((child) => new Promise((resolve) => child.once('close', resolve)));
    for (const child of this.#running) child.kill('SIGKILL');
    await Promise.all(gone);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #endNow(): void {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function leave(): void {
  process.exit(interrupted);
}
