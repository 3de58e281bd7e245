import { expect } from 'chai';

import { freshSilence } from '../../src/heartbeat/silence.ts';

const deadlineMs = 1_000;
const awake = { asleep: false, freshSinceMs: 0, deadlineMs, sources: [] };

describe('freshSilence', () => {
  it('alone: counts from the latest of what was asked, the last late wake-up, and the last sign of life', () => {
    for (const sinceMs of [0, 2_000, 3_000, 4_000]) {
      for (const freshSinceMs of [0, 2_500, 3_500]) {
        for (const lastSeenMs of [null, 1_000, 3_200]) {
          const fromMs = Math.max(sinceMs, freshSinceMs, lastSeenMs ?? 0);
          for (const nowMs of [fromMs + deadlineMs, fromMs + deadlineMs + 1]) {
            const evidence = freshSilence({ ...awake, nowMs, sinceMs, freshSinceMs, links: [{ lastSeenMs, attemptedMs: fromMs }] });
            expect(evidence).to.deep.equal({
              ...{
                silent: nowMs > fromMs + deadlineMs,
                countedFromMs: Math.max(sinceMs, freshSinceMs),
                lastHeardMs: lastSeenMs,
                deadlineMs,
              },
              earliestMs: fromMs + deadlineMs,
            });
          }
        }
      }
    }
  });

  it('alone: needs a probe of each link that was sent after the silence began', () => {
    const input = { ...awake, nowMs: 9_000, sinceMs: 5_000 };
    const old = { lastSeenMs: 1_000, attemptedMs: 4_999 };
    const fresh = { lastSeenMs: 1_000, attemptedMs: 5_000 };
    const never = { lastSeenMs: null, attemptedMs: null };
    expect(
      [
        [fresh, fresh],
        [fresh, old],
        [fresh, never],
      ].map((links) => freshSilence({ ...input, links }).silent),
    ).to.deep.equal([true, false, false]);
  });

  it('alone: a data link that was heard counts as well', () => {
    const links = [{ lastSeenMs: 1_000, attemptedMs: 9_000 }];
    expect(freshSilence({ ...awake, nowMs: 9_000, sinceMs: 5_000, links, sources: [{ lastSeenMs: 8_500 }] })).to.include({
      silent: false,
      earliestMs: 9_500,
    });
  });

  it('watch.pause: an own pause that nobody has noticed yet is no silence of the peer', () => {
    const links = [{ lastSeenMs: 1_000, attemptedMs: 8_900 }];
    expect(freshSilence({ ...awake, asleep: true, nowMs: 9_000, sinceMs: 5_000, links })).to.include({
      silent: false,
      countedFromMs: 9_000,
      earliestMs: 10_000,
    });
  });
});
