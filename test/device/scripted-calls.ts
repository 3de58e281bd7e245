import { systemCalls } from '../../src/device/system-calls.ts';
import type { SystemCalls } from '../../src/device/system-calls.ts';

/** The system calls of this machine, where they are there; tests that need them say that they are not. */
export const theCalls: SystemCalls | null = systemCalls();

/** As Node makes them. */
export function systemError(errno: string): Error {
  return Object.assign(new Error(errno), { code: errno });
}

/** Calls that answer as told, and punch nothing where they are not. */
export function scriptedCalls(answers: Partial<SystemCalls> = {}): SystemCalls {
  const punchHole = answers.punchHole ?? ((): void => undefined);
  return {
    punchHole,
    punchHoleInPool: (...range) => Promise.resolve().then(() => punchHole(...range)),
    seekData: () => {
      throw systemError('EINVAL');
    },
    seekHole: () => {
      throw systemError('EINVAL');
    },
    ...answers,
  };
}
