import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { ownEnvironment } from '../support/environment.ts';

const execute = promisify(execFile);
const maxOutputBytes = 16 * 2 ** 20;

/** What a program that failed leaves behind. */
export interface Failure extends Error {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program and gives its standard output; rejects with a `Failure`.
 * The program takes part neither in the coverage nor in the count of the tests that start it.
 */
export async function run(folder: string, program: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(program, args, { cwd: folder, env: ownEnvironment(), maxBuffer: maxOutputBytes });
  return stdout;
}

/** Runs a program that has to fail, and gives what it left. */
export async function runFailing(folder: string, program: string, ...args: string[]): Promise<Failure> {
  const failure = await run(folder, program, ...args).then(
    (stdout) => new Error(`${program} ${args.join(' ')} did not fail:\n${stdout}`),
    (error: unknown) => error as Failure,
  );
  if (!('code' in failure)) throw failure;
  return failure;
}
