import { retryMs } from './pair-node.ts';
import type { PairNode } from './pair-node.ts';

/** A fence or a person is not asked more often than this when the answer was no again and again. */
const longestRetryMs = 30_000;

/** An automatic takeover, or a fence before going alone, came to nothing: the next may be tried after a wait that doubles each time. */
export function attemptFailed(node: PairNode): void {
  const { failed } = node.attempts;
  node.attempts = { failed: failed + 1, nextMs: node.clock.nowMs() + Math.min(longestRetryMs, retryMs * 2 ** failed) };
  node.wakeAt(node.attempts.nextMs);
}

/** The next attempt is the first again. */
export function forgetAttempts(node: PairNode): void {
  node.attempts = { failed: 0, nextMs: 0 };
}
