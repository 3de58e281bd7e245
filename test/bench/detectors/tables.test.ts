import { expect } from 'chai';

import { qualityChart } from '../../../bench/detectors/chart.ts';
import { falseVerdictTable, qualityTable, summaryTable } from '../../../bench/detectors/tables.ts';
import type { Row } from '../../../bench/detectors/tables.ts';

const detectionMs = { mean: 4_500, p99: 5_000, worst: 5_100 };
const rows: readonly Row[] = [
  { number: 1, name: 'deadline, 1 link', quality: { detectionMs, mistakes: 0, days: 2, mistakeMs: null } },
  { number: 2, name: 'another & more', quality: { detectionMs, mistakes: 3, days: 2, mistakeMs: 250 } },
];

describe('bench: tables and chart of detectors', () => {
  it('tell seconds, and mistakes a day', () => {
    expect(qualityTable(rows).split('\n').slice(2)).to.deep.equal([
      '| 1 | deadline, 1 link | 4.50 | 5.00 | 5.10 | 0 |  |',
      '| 2 | another & more | 4.50 | 5.00 | 5.10 | 1.5 | 0.25 |',
    ]);
  });

  it('tell all traces in short', () => {
    const part = { title: 'LAN', about: '', rows };
    expect(summaryTable([part, part]).split('\n').at(-1)).to.equal('| another & more | 4.5 s, 1.5 | 4.5 s, 1.5 |');
  });

  it('tell false verdicts by formula, for one link and two', () => {
    const table = falseVerdictTable({ intervalMs: 1_000, deadlineMs: 5_000, lost: 0.3, jitterMs: 1_000 }, 50);
    expect(table.split('\n').at(-1)).to.match(/^\| 2 \| 2\.0 \| 0\.0045 \| \d\.\de-22 \|$/u);
  });

  it('the chart has a panel for each part, a mark for each row, and escapes names', () => {
    const part = { title: 'LAN', about: '', rows };
    const svg = qualityChart([part, { ...part, title: 'WAN' }]);
    expect(svg.match(/<circle /gu)).to.have.length(2 * rows.length + rows.length);
    expect(svg).to.include('another &amp; more').and.include('>LAN<').and.include('>WAN<');
    expect(svg).to.not.include('NaN');
  });
});
