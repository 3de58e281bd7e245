import { expect } from 'chai';

import { during, episodes, merged } from '../../../bench/detectors/episodes.ts';
import { measureQuality, watch } from '../../../bench/detectors/quality.ts';
import { readRecordings } from '../../../bench/detectors/recording.ts';
import { signsOfLife } from '../../../bench/detectors/signs.ts';
import type { Protocol } from '../../../bench/detectors/signs.ts';
import { ownSubjects, peerSubjects } from '../../../bench/detectors/subjects.ts';
import { recordedTrace, syntheticTraces } from '../../../bench/detectors/traces.ts';
import { Weather, peer } from '../../../bench/detectors/weather.ts';
import type { Conditions } from '../../../bench/detectors/weather.ts';
import { createDetector } from '../../../src/heartbeat/detector.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';

const beats: Protocol = { intervalMs: 1_000, peerSends: true, watcherAsks: false, answers: false, lateProbeMs: null };
const calm: Conditions = { name: 'calm', about: '', delayMs: 10 };

function signs(conditions: Conditions, protocol: Protocol, untilMs: number, crashMs = Infinity): readonly number[] {
  return signsOfLife(new Weather(conditions, 1, untilMs), 0, protocol, { seed: 1, untilMs, crashMs });
}

const gapsOf = (times: readonly number[]): readonly number[] => times.slice(1).map((each, at) => each - times[at]!);

describe('bench: playing a trace', () => {
  it('the same seed gives the same', () => {
    for (const conditions of syntheticTraces) {
      const [one, again] = [signs(conditions, beats, 60_000), signs(conditions, beats, 60_000)];
      expect(one).to.deep.equal(again);
      expect(one).to.deep.equal([...one].sort((a, b) => a - b));
    }
  });

  it('tokens come at each interval, and answers after both ways, until the crash', () => {
    expect(gapsOf(signs(calm, beats, 10_000)).every((gap) => Math.abs(gap - 1_000) < 1e-6)).to.equal(true);
    const asked = signs(calm, { ...beats, peerSends: false, watcherAsks: true, answers: true }, 10_000, 5_000);
    expect(asked).to.have.length(5);
    expect(asked.at(-1)).to.be.below(5_010);
    expect(signs(calm, beats, 10_000, 0)).to.deep.equal([]);
  });

  it('loses what it is to lose, and probes a late link faster', () => {
    const lossy = { ...calm, lost: 0.6 };
    const count = signs(lossy, beats, 1_000_000).length;
    expect(count).to.be.within(350, 450);
    const both = { ...beats, watcherAsks: true, answers: true };
    const longest = (lateProbeMs: number | null): number => Math.max(...gapsOf(signs(lossy, { ...both, lateProbeMs }, 1_000_000)));
    expect(longest(50)).to.be.below(longest(null));
  });

  it('TCP loses nothing, holds up what follows, and sends nothing again for a dead node', () => {
    const tcp = { ...calm, lost: 0.5, retransmitMs: 200 };
    const times = signs(tcp, beats, 100_000);
    expect(times).to.have.length(100);
    expect(new Set(times).size).to.be.below(100);
    expect(Math.max(...signs(tcp, beats, 200_000, 100_000))).to.be.below(100_011);
  });

  it('a node that stands still sends and receives nothing until it goes on', () => {
    const weather = new Weather({ ...calm, peerPauses: [{ everyMs: 1_000, lastsMs: () => 3_000 }] }, 1, 100_000);
    const pauses = weather.pauses(peer);
    const times = signsOfLife(weather, 0, beats, { seed: 1, untilMs: 100_000, crashMs: Infinity });
    expect(pauses.length).to.be.above(10);
    for (const atMs of times) expect(during(pauses, atMs - 9.999)).to.equal(null);
  });

  it('counts mistakes and how long they last; two links are dead when both are', () => {
    const detectors = (count: number): ReturnType<typeof createDetector>[] =>
      Array.from({ length: count }, () => createDetector({ kind: 'deadline', deadlineMs: 1_000 }));
    expect(watch(detectors(1), [[0, 500, 3_500, 4_000]], [])).to.deep.equal({ mistakes: 1, mistakenMs: 2_000, deadAfterMs: 5_000 });
    const second = [0, 1_400, 2_300, 3_200];
    expect(watch(detectors(2), [[0, 500, 3_500, 4_000], second], [])).to.include({ mistakes: 0, deadAfterMs: 5_000 });
    expect(watch(detectors(1), [[0, 3_000]], [{ fromMs: 500, toMs: 2_500 }])).to.include({ mistakes: 0 });
  });

  it('every subject notices a crash on every trace, none of ours before the deadline', () => {
    const recorded = readRecordings().map(recordedTrace);
    for (const conditions of [...syntheticTraces, ...recorded]) {
      for (const subject of [...ownSubjects, ...peerSubjects]) {
        const { detectionMs } = measureQuality(subject, conditions, { crashes: 2, days: 0 });
        expect(detectionMs.worst, `${subject.name}, ${conditions.name}`).to.be.within(0, 60_000);
      }
    }
  });

  it('recordings are small, and say where they come from', () => {
    const recordings = readRecordings();
    expect(recordings).to.not.deep.equal([]);
    for (const { delaysMs, intervalMs, about } of recordings) {
      expect(intervalMs).to.be.above(0);
      expect(about).to.not.equal('');
      expect(delaysMs.length).to.be.above(100);
      expect(delaysMs.every((delayMs) => delayMs >= 0)).to.equal(true);
    }
  });

  it('episodes come in order, and several kinds of them do not overlap', () => {
    const random = new SeededRandom(1);
    const lists = [100, 300].map((everyMs) => episodes({ everyMs, lastsMs: () => 50 }, random, 10_000));
    const all = merged(lists);
    for (const [at, { fromMs, toMs }] of all.entries()) {
      expect(fromMs).to.be.above(all[at - 1]?.toMs ?? 0);
      expect(during(all, (fromMs + toMs) / 2)).to.deep.equal({ fromMs, toMs });
      expect(during(all, toMs)).to.equal(null);
    }
    expect(during(all, 0)).to.equal(null);
  });
});
