import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Whether `socat` is installed, which joins pseudo-terminals. */
export function hasSocat(): boolean {
  return (process.env['PATH'] ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, 'socat'), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Two pseudo-terminals that a program sees as two ends of a serial line. */
export class PseudoTerminals {
  readonly one: string;
  readonly other: string;
  readonly #folder: string;
  #socat: ChildProcess;

  private constructor(folder: string, socat: ChildProcess) {
    this.#folder = folder;
    [this.one, this.other] = endsIn(folder);
    this.#socat = socat;
  }

  static async create(): Promise<PseudoTerminals> {
    const folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-serial-'));
    return new PseudoTerminals(folder, await joined(folder));
  }

  /** Nothing passes any more; the devices are still there, as when a cable is cut. */
  cut(): void {
    this.#socat.kill('SIGSTOP');
  }

  /** What was cut passes again. */
  mend(): void {
    this.#socat.kill('SIGCONT');
  }

  /** The devices vanish, as those of an adapter that is pulled out. */
  async pull(): Promise<void> {
    if (this.#socat.exitCode !== null || this.#socat.signalCode !== null) return;
    const gone = once(this.#socat, 'close');
    this.#socat.kill('SIGKILL');
    await gone;
  }

  /** And are back. */
  async plug(): Promise<void> {
    this.#socat = await joined(this.#folder);
  }

  async end(): Promise<void> {
    await this.pull();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function endsIn(folder: string): [string, string] {
  return [path.join(folder, 'one'), path.join(folder, 'other')];
}

async function joined(folder: string): Promise<ChildProcess> {
  const ends = endsIn(folder).map((link) => `pty,raw,echo=0,link=${link}`);
  const socat = spawn('socat', ['-d', '-d', ...ends], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    socat.on('error', reject).on('close', () => {
      reject(new Error(`socat ended: ${said}`));
    });
    socat.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('starting data transfer loop')) resolve();
    });
  });
  return socat;
}
