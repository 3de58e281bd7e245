import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

import { ownEnvironment } from '../../support/environment.ts';
import { repositoryRoot } from '../../support/repository.ts';

const script = path.join(repositoryRoot, 'examples', 'scsi-bus.mjs');

/** `examples/scsi-bus.mjs`: a bus in a process of its own. */
export class BusProcess {
  readonly socket: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #folder: string | null;

  private constructor(socket: string, folder: string | null) {
    this.socket = socket;
    this.#folder = folder;
    this.#child = spawn(process.execPath, [script, socket], { stdio: ['pipe', 'pipe', 'inherit'], env: ownEnvironment() });
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** Serves at the path, or at one in a folder of its own. */
  static async start(socket?: string): Promise<BusProcess> {
    const folder = socket === undefined ? await mkdtemp(path.join(tmpdir(), 'hotmirror-bus-')) : null;
    const bus = new BusProcess(socket ?? path.join(folder ?? '', 'bus.sock'), folder);
    const gone = once(bus.#child, 'exit').then(() => Promise.reject(new Error(`the bus ended before it served ${bus.socket}`)));
    await Promise.race([once(bus.#lines, 'line'), gone]);
    gone.catch(() => undefined);
    return bus;
  }

  /** Makes a fault; gives what the bus says about itself then. */
  async fault(line: string): Promise<string> {
    const answered = once(this.#lines, 'line') as Promise<[string]>;
    this.#child.stdin.write(`${line}\n`);
    return (await answered)[0];
  }

  /** Ends it in order, or with `SIGKILL`. */
  async end(signal?: 'SIGKILL'): Promise<void> {
    const ended = this.#child.exitCode === null && this.#child.signalCode === null ? once(this.#child, 'exit') : null;
    if (signal) this.#child.kill(signal);
    else this.#child.stdin.end();
    await ended;
    this.#lines.close();
    if (this.#folder !== null) await rm(this.#folder, { recursive: true });
  }
}
