import { execFileSync } from 'node:child_process';

/** A block device over a file; the caller detaches it. Null: this user may not, or there are none here. */
export function attachLoop(path: string): string | null {
  try {
    return execFileSync('losetup', ['--find', '--show', path], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return null;
  }
}

export function detachLoop(loop: string): void {
  execFileSync('losetup', ['--detach', loop]);
}
