import type { HotMirrorError } from '../../../src/errors.ts';

/** By which code and rule something was refused. */
export function refused(error: unknown): string {
  const { code, rule } = error as HotMirrorError;
  return `${code} ${rule ?? ''}`;
}
