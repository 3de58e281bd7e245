import type { Context, Runnable } from 'mocha';

/** Under this key the reporter finds why a test, or all of a suite, was skipped. */
export const skipReason: unique symbol = Symbol.for('hotmirror.skipReason');

/**
 * Skips the running test, or from a `before` hook every test of its suite, and leaves the reason for the report.
 * Call it as `skipBecause(this, 'mkfs.ext4 is not installed')` from a `function`, not an arrow function.
 */
export function skipBecause(context: Context, reason: string): never {
  Object.assign(skippedBy(context), { [skipReason]: reason });
  return context.skip();
}

/** A hook before each test skips that test; one before all skips the suite. */
function skippedBy(context: Context): object {
  const runnable: Runnable & { readonly type?: string } = context.runnable();
  if (runnable.type !== 'hook') return runnable;
  return runnable.title.startsWith('"before each"') && context.currentTest ? context.currentTest : runnable.parent!;
}
