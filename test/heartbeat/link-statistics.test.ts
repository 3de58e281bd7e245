import { expect } from 'chai';
import fc from 'fast-check';

import { LinkStatistics, rememberedTokens, tripsPerHistogram } from '../../src/heartbeat/link-statistics.ts';

const patienceMs = 5_000;

/** Sends tokens a second apart and has them answered after these round trips; null: never. */
function exchange(statistics: LinkStatistics, trips: readonly (number | null)[], first = 1): void {
  for (const [at, tripMs] of trips.entries()) {
    const sentMs = (first + at) * 1_000;
    statistics.tokenSent(first + at, sentMs);
    if (tripMs !== null) statistics.tokenAnswered(first + at, sentMs + tripMs);
  }
}

describe('LinkStatistics', () => {
  it('measures round trips: the last, a smoothed one, percentiles, and jitter', () => {
    const statistics = new LinkStatistics();
    expect(statistics.quality(0, patienceMs).roundTripMs).to.equal(null);
    exchange(
      statistics,
      Array.from({ length: 100 }, (_, at) => at + 1),
    );
    const trip = statistics.quality(0, patienceMs).roundTripMs!;
    expect(trip.last).to.equal(100);
    expect(trip.smoothed).to.be.within(90, 100);
    expect(trip.p50).to.be.closeTo(50, 1);
    expect(trip.p99).to.be.closeTo(99, 1);
    expect(trip.jitter).to.be.within(0.9, 1);
  });

  it('forgets old round trips', () => {
    const statistics = new LinkStatistics();
    exchange(
      statistics,
      Array.from({ length: 100 }, () => 900),
    );
    exchange(
      statistics,
      Array.from({ length: 2 * tripsPerHistogram }, () => 1),
      101,
    );
    expect(statistics.quality(0, patienceMs).roundTripMs!.p99).to.be.closeTo(1, 0.02);
  });

  it('counts own tokens without an answer, once they have waited long enough, and takes a late answer for what it is', () => {
    const statistics = new LinkStatistics();
    exchange(statistics, [1, null, 1, null]);
    expect(statistics.quality(4_000, patienceMs).unanswered).to.deep.equal({ tokens: 2, lost: 0, share: 0 });
    expect(statistics.quality(7_001, patienceMs).unanswered).to.deep.equal({ tokens: 3, lost: 1, share: 1 / 3 });
    expect(statistics.tokenAnswered(2, 8_000)).to.equal(6_000);
    expect(statistics.quality(9_001, patienceMs).unanswered).to.deep.equal({ tokens: 4, lost: 1, share: 0.25 });
  });

  it('does not blame the link for what a connection took with it', () => {
    const statistics = new LinkStatistics();
    exchange(statistics, [1, null]);
    statistics.disconnected();
    expect(statistics.quality(60_000, patienceMs).unanswered).to.deep.equal({ tokens: 1, lost: 0, share: 0 });
    expect(statistics.tokenAnswered(2, 60_000)).to.equal(null);
  });

  it('counts missing tokens of the peer by their numbers, until they come', () => {
    const statistics = new LinkStatistics();
    for (const sequence of [7, 8, 11]) statistics.tokenArrived(sequence);
    expect(statistics.quality(0, patienceMs).missing).to.deep.equal({ tokens: 5, lost: 2, share: 0.4 });
    statistics.tokenArrived(9);
    expect(statistics.quality(0, patienceMs).missing).to.deep.equal({ tokens: 5, lost: 1, share: 0.2 });
    statistics.peerStarted();
    statistics.tokenArrived(1);
    expect(statistics.quality(0, patienceMs).missing).to.deep.equal({ tokens: 1, lost: 0, share: 0 });
  });

  it('stays bounded and sane whatever it is told', () => {
    const odd = fc.oneof(fc.integer({ min: -3, max: 2_000 }), fc.double(), fc.constant(Number.MAX_SAFE_INTEGER));
    const call = fc.tuple(fc.constantFrom('tokenSent', 'tokenAnswered', 'tokenArrived', 'disconnected', 'peerStarted'), odd, odd);
    fc.assert(
      fc.property(fc.array(call, { maxLength: 300 }), odd, (calls, nowMs) => {
        const statistics = new LinkStatistics();
        for (const [method, sequence, atMs] of calls) statistics[method as 'tokenSent'](sequence, atMs);
        const { unanswered, missing, roundTripMs } = statistics.quality(nowMs, patienceMs);
        for (const { tokens, lost } of [unanswered, missing]) {
          expect(lost).to.be.within(0, tokens);
          expect(tokens).to.be.within(0, rememberedTokens);
        }
        if (roundTripMs) for (const value of Object.values(roundTripMs)) expect(value).to.be.within(0, Number.MAX_VALUE);
      }),
    );
  });

  it('answers each token once', () => {
    const statistics = new LinkStatistics();
    exchange(statistics, [10]);
    expect([statistics.tokenAnswered(1, 2_000), statistics.tokenAnswered(2, 2_000)]).to.deep.equal([null, null]);
  });
});
