import { expect } from 'chai';

import { figure, markdownTable, spread, times } from '../../bench/support/markdown.ts';
import { cpuSecondsIn, peakMebibytesIn } from '../../bench/support/proc.ts';
import { estimate, ratioOf } from '../../bench/support/statistics.ts';

describe('bench: statistics', () => {
  it('give the median, and from where to where it went', () => {
    expect(estimate([3, 1, 2])).to.deep.equal({ median: 2, min: 1, max: 3 });
    expect(estimate([4, 1, 2, 3])).to.deep.equal({ median: 2.5, min: 1, max: 4 });
    expect(() => estimate([])).to.throw(RangeError);
  });

  it('compare round by round, so that a slow round of both is none of either', () => {
    expect(ratioOf([20, 2, 22], [10, 1, 10])).to.deep.equal({ median: 2, min: 2, max: 2.2 });
    expect(() => ratioOf([1], [1, 2])).to.throw(RangeError);
  });

  it('are told in few digits', () => {
    expect([0.123_456, 12.345, 123.4, 1_234.5, 1e6].map(figure)).to.deep.equal(['0.123', '12.3', '123', '1,235', '1,000,000']);
    expect([0.5, 9.994, 12.34].map(times)).to.deep.equal(['0.50×', '9.99×', '12.3×']);
    expect(spread({ median: 2, min: 1, max: 3 }, figure)).to.equal('2 (1–3)');
    expect(spread({ median: 2, min: 2, max: 2 }, figure)).to.equal('2');
  });

  it('become tables whose text cannot break them', () => {
    expect(markdownTable(['a|b', 'c'], [['x', '1']])).to.equal('| a\\|b | c |\n|---|---:|\n| x | 1 |');
  });
});

describe('bench: what Linux tells of a process', () => {
  it('has its CPU time, whatever the process is called', () => {
    const stat = '42 (a ) b) S 1 42 42 0 -1 4194304 99 0 0 0 150 50 7 7 20 0 4 0 12345 1000 200';
    expect(cpuSecondsIn(stat)).to.equal(2);
  });

  it('has the most memory that it had', () => {
    expect(peakMebibytesIn('Name:\tnode\nVmPeak:\t 999999 kB\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n')).to.equal(2);
  });
});
