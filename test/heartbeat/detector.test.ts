import { expect } from 'chai';
import fc from 'fast-check';

import { createDetector } from '../../src/heartbeat/detector.ts';
import type { Detector, DetectorOptions } from '../../src/heartbeat/detector.ts';
import { fewestGaps } from '../../src/heartbeat/patience.ts';

const deadlineMs = 5_000;
const maxDeadlineMs = 20_000;
const kinds: readonly DetectorOptions[] = [
  { kind: 'deadline', deadlineMs },
  { kind: 'phi-accrual', deadlineMs, maxDeadlineMs },
  { kind: 'chen', deadlineMs, maxDeadlineMs },
];
const longestMs = (options: DetectorOptions): number => (options.kind === 'deadline' ? options.deadlineMs : options.maxDeadlineMs);

/** Signs of life with these gaps between them; gives when the last came. */
function hear(detector: Detector, gaps: readonly number[], fromMs = 0): number {
  let atMs = fromMs;
  detector.heard(atMs);
  for (const gap of gaps) detector.heard((atMs += gap));
  return atMs;
}

const gaps = fc.array(fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 100_000 })), { maxLength: 60 });
const anyKind = fc.constantFrom(...kinds);

describe('Detector', () => {
  it('never calls a link dead before the deadline, and always by the longest, whatever came before', () => {
    fc.assert(
      fc.property(anyKind, gaps, (options, before) => {
        const detector = createDetector(options);
        const lastMs = hear(detector, before);
        expect(detector.state(lastMs + deadlineMs)).to.equal('alive');
        expect(detector.state(lastMs + longestMs(options) + 1)).to.equal('dead');
        expect(detector.deadAfterMs()! - lastMs).to.be.within(deadlineMs, longestMs(options));
      }),
    );
  });

  it('is monotone in silence: once dead, a link stays dead until it is heard', () => {
    const moments = fc.array(fc.integer({ min: 0, max: 60_000 }), { minLength: 1 });
    fc.assert(
      fc.property(anyKind, gaps, moments, (options, before, silences) => {
        const detector = createDetector(options);
        const lastMs = hear(detector, before);
        const states = silences.toSorted((one, other) => one - other).map((silentMs) => detector.state(lastMs + silentMs));
        expect(states.lastIndexOf('alive')).to.equal(states.filter((state) => state === 'alive').length - 1);
        detector.heard(lastMs + 60_000);
        expect(detector.state(lastMs + 60_000)).to.equal('alive');
      }),
    );
  });

  it('gives no verdict before the first sign of life', () => {
    for (const options of kinds) {
      const detector = createDetector(options);
      detector.freshen(10, 0);
      expect([detector.state(1e9), detector.deadAfterMs()]).to.deep.equal(['unknown', null]);
    }
  });

  it('is as patient as the deadline says while it knows little, and where signs of life are regular', () => {
    for (const options of kinds) {
      const detector = createDetector(options.kind === 'chen' ? { ...options, marginMs: deadlineMs - 1_000 } : options);
      for (const more of [0, fewestGaps]) {
        const lastMs = hear(
          detector,
          Array.from({ length: more }, () => 1_000),
        );
        expect(detector.deadAfterMs()).to.equal(lastMs + deadlineMs);
      }
    }
  });

  it('learns to bear more where signs of life are irregular, also from a silence that it took for death, but not from an outage', () => {
    const uneven = Array.from({ length: 100 }, (_, at) => (at % 5 === 0 ? 6_000 : 500));
    for (const options of kinds.slice(1)) {
      const detector = createDetector(options);
      const lastMs = hear(detector, uneven);
      const learntMs = detector.deadAfterMs()! - lastMs;
      expect(learntMs).to.be.above(deadlineMs);
      const backMs = lastMs + 10 * maxDeadlineMs;
      detector.heard(backMs);
      expect(detector.deadAfterMs()! - backMs).to.equal(learntMs);
    }
  });

  it('watch.pause: an own pause begins a fresh deadline, and its gap teaches nothing', () => {
    for (const options of kinds) {
      const [paused, steady] = [createDetector(options), createDetector(options)];
      const lastMs = hear(
        paused,
        Array.from({ length: 50 }, () => 500),
      );
      hear(
        steady,
        Array.from({ length: 50 }, () => 500),
      );
      const allowedMs = steady.deadAfterMs()! - lastMs;
      paused.freshen(lastMs + 15_000, lastMs + 100);
      expect(paused.state(lastMs + 15_000 + deadlineMs)).to.equal('alive');
      expect(paused.deadAfterMs()).to.equal(lastMs + 15_000 + allowedMs);
      paused.heard(lastMs + 15_001);
      expect(paused.deadAfterMs()).to.equal(lastMs + 15_001 + allowedMs);
    }
  });

  it('watch.pause: what was dead before the pause stays dead until it is heard', () => {
    for (const options of kinds) {
      const detector = createDetector(options);
      detector.heard(0);
      detector.freshen(60_000, 40_000);
      expect([detector.state(60_000), detector.deadAfterMs()]).to.deep.equal(['dead', deadlineMs]);
      detector.heard(60_001);
      expect(detector.state(60_001)).to.equal('alive');
    }
  });

  it('ignores times that are none or go backwards', () => {
    for (const options of kinds) {
      const detector = createDetector(options);
      expect([NaN, Infinity, -Infinity].map((atMs) => detector.heard(atMs))).to.deep.equal([false, false, false]);
      expect(detector.state(0)).to.equal('unknown');
      detector.heard(1_000);
      expect([detector.heard(999), detector.heard(NaN)]).to.deep.equal([false, false]);
      detector.freshen(NaN, 0);
      detector.freshen(500, 0);
      expect(detector.deadAfterMs()).to.equal(1_000 + deadlineMs);
      expect([NaN, Infinity, 0].map((nowMs) => detector.state(nowMs))).to.deep.equal(['unknown', 'unknown', 'alive']);
    }
  });

  it('refuses options that cannot be kept', () => {
    const wrong: readonly DetectorOptions[] = [
      { kind: 'deadline', deadlineMs: 0 },
      { kind: 'chen', deadlineMs, maxDeadlineMs: deadlineMs - 1 },
      { kind: 'chen', deadlineMs, maxDeadlineMs, marginMs: NaN },
      { kind: 'phi-accrual', deadlineMs, maxDeadlineMs: Infinity },
      { kind: 'phi-accrual', deadlineMs, maxDeadlineMs, threshold: 0 },
      { kind: 'phi-accrual', deadlineMs, maxDeadlineMs, minDeviationMs: -1 },
      { kind: 'phi-accrual', deadlineMs, maxDeadlineMs, acceptablePauseMs: -1 },
    ];
    for (const options of wrong) expect(() => createDetector(options)).to.throw(RangeError);
  });
});
