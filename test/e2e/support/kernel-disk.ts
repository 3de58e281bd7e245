import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { ownEnvironment } from '../../support/environment.ts';
import { poll } from './command-pair.ts';
import { runProgram } from './program.ts';
import type { ProgramResult } from './program.ts';

/** By program, the package that has it. */
const programs = { nbdfuse: 'libnbd-bin', losetup: 'mount', 'mkfs.ext4': 'e2fsprogs', e2fsck: 'e2fsprogs', setpriv: 'util-linux' } as const;
const folders = ['/usr/bin', '/usr/sbin', '/sbin', '/bin'];
const deadlineSeconds = 30;
const shortSeconds = 5;
/** The bit of CAP_SYS_ADMIN. */
const mayMount = 1n << 21n;

/** Why no disk can be mounted here; null: one can. */
export function unmountable(): string | null {
  const packages = Object.entries(programs).flatMap(([program, name]) =>
    folders.some((folder) => existsSync(path.join(folder, program))) ? [] : [name],
  );
  if (packages.length > 0) return `not installed: ${[...new Set(packages)].join(', ')}`;
  if (process.getuid?.() !== 0) return 'only root mounts disks';
  const devices = ['/dev/fuse', '/dev/loop-control'].filter((device) => !existsSync(device));
  if (devices.length > 0) return `there is no ${devices.join(', no ')}`;
  const capabilities = /^CapEff:\s+(\p{Hex_Digit}+)$/mu.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${capabilities}`) & mayMount) === 0n ? 'root may not mount here (no CAP_SYS_ADMIN)' : null;
}

/** Runs a program that touches a mounted disk: one that hangs is left, for it may not be killable. */
function bounded(seconds: number, program: string, ...args: readonly string[]): Promise<ProgramResult> {
  return runProgram('timeout', ['--kill-after=1', String(seconds), program, ...args]);
}

/** Runs one that must end with such a code; gives what it printed. */
export async function must(codes: readonly number[], program: string, ...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await bounded(deadlineSeconds, program, ...args);
  if (!codes.includes(exitCode ?? -1)) throw new Error(`${program} ${args.join(' ')} ended with ${String(exitCode)}: ${stderr}${stdout}`);
  return stdout.trim();
}

/** A net disk as a block device of the kernel, without its nbd module: `nbdfuse` makes a file of it, and a loop device makes a disk of that. */
export class KernelDisk {
  /** `/dev/loopN`. */
  readonly device: string;
  readonly #nbd: string;
  readonly #mounted: string;
  readonly #fuse: ChildProcess;
  #ending: Promise<void> | null = null;

  private constructor(device: string, folder: string, fuse: ChildProcess) {
    this.device = device;
    this.#nbd = path.join(folder, 'nbd');
    this.#mounted = path.join(folder, 'fs');
    this.#fuse = fuse;
  }

  /** Attaches it; what that needs is in a folder that is made. */
  static async attach(uri: string, folder: string): Promise<KernelDisk> {
    const nbd = path.join(folder, 'nbd');
    for (const each of [nbd, path.join(folder, 'fs')]) await mkdir(each, { recursive: true });
    const disk = path.join(nbd, 'disk');
    // It dies with this process, and then nobody waits for its disk any more.
    const fuse = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'nbdfuse', disk, uri], { env: ownEnvironment(), stdio: 'ignore' });
    try {
      await poll(
        `${disk} of ${uri}`,
        async () => existsSync(disk) || fuse.exitCode !== null,
        (there) => there,
      );
      return new KernelDisk(await must([0], 'losetup', '--find', '--show', disk), folder, fuse);
    } catch (error) {
      await leaveFuse(nbd, fuse);
      throw error;
    }
  }

  /** Mounts its file system; gives where. */
  async mount(): Promise<string> {
    await must([0], 'mount', this.device, this.#mounted);
    return this.#mounted;
  }

  /** Detaches in order. */
  async detach(): Promise<void> {
    await must([0], 'umount', this.#mounted);
    await this.end();
  }

  /** Detaches whatever is attached, also where the server is gone or hangs: then nothing but the end of `nbdfuse` frees those who wait. */
  end(): Promise<void> {
    // Not twice: the loop device may be somebody else's by then.
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    await bounded(shortSeconds, 'umount', '--lazy', this.#mounted);
    await bounded(shortSeconds, 'losetup', '--detach', this.device);
    await leaveFuse(this.#nbd, this.#fuse);
  }
}

async function leaveFuse(nbd: string, fuse: ChildProcess): Promise<void> {
  const ended = fuse.exitCode === null && fuse.signalCode === null ? new Promise((resolve) => fuse.once('close', resolve)) : null;
  fuse.kill('SIGKILL');
  await ended;
  await bounded(shortSeconds, 'umount', '--lazy', nbd);
}
