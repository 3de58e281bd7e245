import { expect } from 'chai';

import { readSettings } from '../../bench/monitor-under-load/settings.ts';
import { deathText, loadBetween, loadText, stories, summarise, summaryTable } from '../../bench/monitor-under-load/summary.ts';
import type { MonitorNews } from '../support/monitor-program.ts';

const suspect: MonitorNews = { kind: 'peer', to: 'suspect', atMs: 1_000, text: 'beta is suspect.' };
const down: MonitorNews = { kind: 'peer', to: 'down', atMs: 1_500, text: 'beta is down.' };
const late: MonitorNews = { kind: 'link', link: 'net0', to: 'late', atMs: 900, text: 'net0 is late.' };
const lost: MonitorNews = { ...late, to: 'down' };
const overslept = (lateMs: number): MonitorNews => ({ kind: 'overslept', lateMs, atMs: 10, text: 'The monitor stood still.' });

describe('bench: the monitor on saturated cores', () => {
  it('watches for ten minutes with two busy processes for each core, unless told otherwise', () => {
    expect(readSettings([], 2)).to.deep.equal({ minutes: 10, intervalMs: 100, deadlineMs: 500, load: 4 });
    const args = ['--minutes', '0.1', '--interval', '50', '--deadline', '200', '--load', '0'];
    expect(readSettings(args, 2)).to.deep.equal({ minutes: 0.1, intervalMs: 50, deadlineMs: 200, load: 0 });
  });

  it('refuses what it does not know, and times that cannot be watched', () => {
    for (const args of [['--minutes', '0'], ['--minutes', 'x'], ['--load', '-1'], ['--load', '1.5'], ['--hours', '1'], ['more']])
      expect(() => readSettings(args), args.join(' ')).to.throw(TypeError);
    expect(() => readSettings(['--deadline', '150'])).to.throw(RangeError, 'at least 2 × intervalMs');
  });

  it('counts verdicts, links and oversleeps, and takes percentiles of all round trips', () => {
    const tripsMs = Array.from({ length: 200 }, (_, at) => 200 - at);
    expect(summarise({ news: [late, lost, suspect, down, overslept(60), overslept(80)], tripsMs })).to.deep.equal({
      ...{ falseVerdicts: 1, suspects: 1, lateLinks: 1, downLinks: 1, oversleeps: 2, longestOversleepMs: 80 },
      tripsMs: { count: 200, p50: 100, p99: 198, max: 200 },
    });
    const nothing = summarise({ news: [], tripsMs: [] });
    expect([nothing.falseVerdicts, nothing.longestOversleepMs, nothing.tripsMs]).to.deep.equal([0, 0, null]);
  });

  it('has a column for each monitor, and says how busy the cores were', () => {
    const watched = { node: 'alpha', news: [down], tripsMs: [1.25], cpuSeconds: 12.34 };
    const lines = summaryTable([watched, { ...watched, node: 'beta', news: [], tripsMs: [] }]).split('\n');
    expect(lines).to.include.members([
      '|  | alpha | beta |',
      '| false verdicts | 1 | 0 |',
      '| p99 | 1.25 |  |',
      '| CPU time, s | 12.3 | 12.3 |',
    ]);
    const before = { allSeconds: 5_000, usedSeconds: 1_000, busySeconds: 1 };
    const after = { allSeconds: 6_200, usedSeconds: 2_199, busySeconds: 901 };
    expect(loadText(loadBetween(before, after))).to.equal(
      'Load: 1,199 of 1,200 CPU seconds used (99.9 %), 900 of them by the busy processes.',
    );
  });

  it('says how soon death was noticed, or that it was not', () => {
    expect([deathText(612.3), deathText(null)]).to.deep.equal([
      'The death of beta at the end was noticed after 612 ms.',
      'The death of beta at the end was **not noticed**.',
    ]);
  });

  it('tells of a false verdict what its monitor saw before, and nothing where there is none', () => {
    const watched = { node: 'alpha', news: [overslept(60), late, suspect, down], tripsMs: [], cpuSeconds: 0 };
    expect(stories([watched], 1_000)).to.deep.equal([
      'alpha at 900 ms: net0 is late.',
      'alpha at 1000 ms: beta is suspect.',
      'alpha at 1500 ms: beta is down.',
    ]);
    expect(stories([{ ...watched, news: [suspect] }], 1_000)).to.deep.equal([]);
  });
});
