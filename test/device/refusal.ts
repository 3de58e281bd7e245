import { HotMirrorError } from '../../src/errors.ts';

/** The code that the promise rejects with; throws when it resolves or rejects with anything untyped. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof HotMirrorError) return error.code;
    throw error;
  }
  throw new Error('it was expected to reject');
}
