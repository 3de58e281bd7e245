import { invariantPromises } from '../simulation/invariants/all.ts';
import type { BrokenPromise } from './runner.ts';

/** What each promise says, in one sentence. */
export const promiseSentences: Readonly<Record<BrokenPromise, string>> = {
  ...invariantPromises,
  'no-crash': 'Nothing throws that nobody expected, and every run comes to its end.',
};
