import { expect } from 'chai';

import { LifeWatch } from '../../src/heartbeat/link-watch.ts';
import { watchTimes } from '../../src/heartbeat/options.ts';
import type { WatchState } from '../../src/heartbeat/types.ts';
import { judge } from '../../src/heartbeat/verdict.ts';
import type { Observation, SourceView } from '../../src/heartbeat/verdict.ts';

const times = watchTimes({ intervalMs: 200, deadlineMs: 1_000 });
const nowMs = 100_000;
const ages = [0, 300, 301, 1_000, 1_001];

function source(name: string, ageMs: number): SourceView {
  const watch = new LifeWatch(0);
  watch.heard(nowMs - ageMs);
  const { lastSeenMs } = watch;
  return { name, state: watch.state(nowMs, times), silentMs: watch.silentMs(nowMs), borneMs: watch.borneMs(times), lastSeenMs };
}

const views = new Map(
  [0, 1, 2, 3].flatMap((at) => ages.map((ageMs) => [`s${String(at)} ${String(ageMs)}`, source(`s${String(at)}`, ageMs)])),
);

function* tuples(length: number): Generator<readonly number[]> {
  if (length === 0) yield [];
  else for (const rest of tuples(length - 1)) for (const age of ages) yield [age, ...rest];
}

function* space(): Generator<{ readonly observation: Observation; readonly youngestMs: number }> {
  for (const links of [1, 2, 3]) {
    for (const sources of [0, 1]) {
      for (const age of tuples(links + sources)) {
        for (const watch of ['grace', 'normal', 'paused'] satisfies WatchState[]) {
          for (const flags of [0, 1, 2, 3, 4, 5, 6, 7]) {
            const seenOn = age.flatMap((ageMs, at) => views.get(`s${String(at)} ${String(ageMs)}`) ?? []);
            const observation = {
              ...{ nowMs, deadlineMs: times.deadlineMs, watch, pausedBecause: watch === 'paused' ? ['resync'] : [] },
              ...{ seen: (flags & 1) !== 0, left: (flags & 2) !== 0, unseenBecause: (flags & 4) !== 0 ? 'the peer is scrap' : null },
              ...{ links: seenOn.slice(0, links), sources: seenOn.slice(links) },
            };
            yield { observation, youngestMs: Math.min(...age) };
          }
        }
      }
    }
  }
}

describe('judge', () => {
  it('watch.all: says down exactly where every source is silent beyond the deadline and nothing speaks against it', () => {
    let judged = 0;
    for (const { observation, youngestMs } of space()) {
      const { watch, seen, left, unseenBecause } = observation;
      const mayJudge = watch === 'normal' && !left && (seen || unseenBecause !== null);
      const { state } = judge(observation);
      if ((state === 'down') !== (mayJudge && youngestMs > times.deadlineMs)) expect.fail(JSON.stringify({ state, observation }));
      judged += 1;
    }
    expect(judged).to.be.above(20_000);
  });

  it('names for each observation one state, a rule, and evidence that is plain data', () => {
    for (const { observation, youngestMs } of space()) {
      const { state, rule, evidence } = judge(observation);
      const { seen, left, unseenBecause, watch } = observation;
      const unproven = seen ? 'suspect' : 'unknown';
      const expected = left
        ? 'left node.leave'
        : !seen && unseenBecause === null
          ? 'unknown watch.start'
          : youngestMs <= 300
            ? 'up watch.all'
            : youngestMs <= 1_000
              ? `${unproven} watch.all`
              : { grace: `${unproven} watch.start`, paused: `${unproven} takeover.auto`, normal: 'down watch.all' }[watch];
      if (`${state} ${rule}` !== expected) expect.fail(`${state} ${rule}, not ${expected}: ${JSON.stringify(observation)}`);
      if (observation.links.length === 1) expect(JSON.parse(JSON.stringify(evidence))).to.deep.equal(evidence);
    }
  });

  it('watch.all: cites how long each link was silent', () => {
    const observation = {
      nowMs,
      deadlineMs: 1_000,
      watch: 'normal',
      pausedBecause: [],
      seen: true,
      unseenBecause: null,
      left: false,
    } as const;
    const verdict = judge({ ...observation, links: [source('net', 1_200), source('line', 1_001)], sources: [source('m0', 1_500)] });
    expect(verdict).to.deep.include({ state: 'down', rule: 'watch.all', because: 'every link is silent for more than 1000 ms' });
    expect(verdict.evidence['links']).to.deep.equal([
      { name: 'net', state: 'down', silentMs: 1_200, borneMs: 1_000, lastSeenMs: nowMs - 1_200 },
      { name: 'line', state: 'down', silentMs: 1_001, borneMs: 1_000, lastSeenMs: nowMs - 1_001 },
    ]);
  });
});
