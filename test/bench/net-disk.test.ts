import { expect } from 'chai';

import type { ReportWishes } from '../../bench/benchmark.ts';
import { ratioChart } from '../../bench/net-disk/chart.ts';
import { fioArguments, parseFio } from '../../bench/net-disk/fio.ts';
import type { Cell, Measured } from '../../bench/net-disk/measure.ts';
import { settingsFor, unfitness } from '../../bench/net-disk/settings.ts';
import { copyTable, costTable, identityText, latencyTable, ratiosOf, speedTable } from '../../bench/net-disk/tables.ts';
import { workload, workloads } from '../../bench/net-disk/workload.ts';

const write = workload({ name: 'write', rw: 'randwrite', kibibytes: 4, depth: 32 });
const flushed = workload({ name: 'flushed', rw: 'randwrite', kibibytes: 4, depth: 1, flushAfter: 1 });

/** What fio says, of which much more is not read. */
function printedBy(notes: string): string {
  const percentiles = (base: number): object => ({ percentile: { '50.000000': base, '99.000000': 2 * base, '99.900000': 3 * base } });
  const direction = (iops: number): object => ({
    iops,
    bw_bytes: iops * 4_096,
    io_bytes: iops * 8_192,
    total_ios: 2 * iops,
    lat_ns: percentiles(iops),
  });
  const job = { read: direction(0), write: direction(5_000), sync: { lat_ns: percentiles(7_000) } };
  return `${notes}${JSON.stringify({ jobs: [job] })}`;
}

function cell(subject: string, of: Cell['workload'], speeds: readonly number[]): Cell {
  const sample = (perSecond: number): Cell['samples'][number] => ({
    ...{ perSecond, bytes: 1, requests: 1, cpuSecondsPerGibibyte: perSecond / 10 },
    latency: { p50: 1, p99: 20, p999: 300 },
  });
  return { subject, workload: of, samples: speeds.map(sample) };
}

const measured: Measured = {
  medium: { name: 'memory', parent: '/' },
  subjects: ['ours', 'peer', 'a < b'],
  cells: [
    cell('ours', write, [40, 60, 50]),
    cell('peer', write, [10, 20, 10]),
    cell('a < b', write, [80, 80, 80]),
    cell('ours', flushed, [5, 5, 5]),
    cell('peer', flushed, [10, 10, 10]),
    cell('a < b', flushed, [10, 10, 10]),
  ],
  peakMebibytes: new Map([
    ['ours', 100],
    ['peer', 20],
    ['a < b', 10],
  ]),
  identical: new Map([
    ['ours', true],
    ['peer', false],
  ]),
};

describe('bench: the net disk', () => {
  it('asks fio for one job to a disk, in a thread that ends with it', () => {
    const args = fioArguments(write, { uris: ['nbd+unix:///a', 'nbd+unix:///b'], sizeBytes: 1_048_576, seconds: 0.3 });
    expect(args).to.include.members(['--thread', '--runtime=300ms', '--rw=randwrite', '--bs=4k', '--iodepth=32', '--numjobs=1']);
    expect(args.slice(-4)).to.deep.equal(['--name=m0', '--uri=nbd+unix:///a', '--name=m1', '--uri=nbd+unix:///b']);
  });

  it('reads what fio prints, past its notes, and the latency of the flush where there is one', () => {
    const printed = printedBy('fio: this is a note\n');
    expect(parseFio(printed, write)).to.deep.equal({
      ...{ perSecond: 5_000, bytes: 40_960_000, requests: 10_000 },
      latency: { p50: 5, p99: 10, p999: 15 },
    });
    expect(parseFio(printed, flushed).latency).to.deep.equal({ p50: 7, p99: 14, p999: 21 });
    const sequential = workload({ name: 'sequential', rw: 'write', kibibytes: 64, depth: 8 });
    expect(parseFio(printed, sequential).perSecond).to.equal(20.48);
    const read = workload({ name: 'read', rw: 'randread', kibibytes: 4, depth: 1 });
    expect(() => parseFio(printed, read)).to.throw('fio did nothing of "read"');
  });

  it('reads cold after everything that would warm', () => {
    const firstCold = workloads.findIndex(({ cold }) => cold);
    expect(workloads.slice(firstCold).every(({ cold }) => cold)).to.equal(true);
  });

  it('measures less where it is to be short, and what is asked for in any case', () => {
    const wishes: ReportWishes = { rounds: null, seconds: null, short: false, disk: null, svg: null, command: '' };
    expect(settingsFor(wishes).media.map(({ name }) => name)).to.deep.equal(['memory', 'disk']);
    const short = settingsFor({ ...wishes, short: true, rounds: 3 });
    expect(short.media.map(({ name }) => name)).to.deep.equal(['memory']);
    expect(short).to.include({ rounds: 3, hasty: true });
    expect(settingsFor({ ...wishes, short: true, disk: '/somewhere' }).media[1]).to.deep.equal({ name: 'disk', parent: '/somewhere' });
    expect(unfitness({ name: 'disk', parent: '/somewhere/else' })).to.include('ENOENT');
  });

  it('tells medians, and ratios to the reference round by round', () => {
    expect(speedTable(measured, 'peer').split('\n').slice(2)).to.deep.equal([
      '| write, IOPS | 50 (40–60) | 10 (10–20) | 80 | 4.00× (3.00×–5.00×) | 8.00× (4.00×–8.00×) |',
      '| flushed, IOPS | 5 | 10 | 10 | 0.50× | 1.00× |',
    ]);
    expect(latencyTable(measured)).to.include('| flushed (of the flush) | 1 / 20 / 300 |');
    expect(costTable(measured).split('\n').slice(2)).to.deep.equal([
      '| write | 5 | 1 | 8 |',
      '| flushed | 0.5 | 1 | 1 |',
      '| most memory, MiB | 100 | 20 | 10 |',
    ]);
    expect(identityText(measured)).to.equal('Both copies in the end: ours: the same; peer: **DIFFERENT**.');
  });

  it('tells copies against their own reference', () => {
    const copied = [
      { name: 'ours', samples: [300, 200] },
      { name: 'theirs', samples: [100, 100] },
    ];
    expect(copyTable(copied, 'theirs').split('\n').slice(2)).to.deep.equal([
      '| ours | 250 (200–300) | 2.50× (2.00×–3.00×) |',
      '| theirs | 100 |  |',
    ]);
  });
});

describe('bench: the chart of ratios', () => {
  const svg = ratioChart([{ title: 'in memory', ratios: ratiosOf(measured, 'peer') }], 'peer');

  /** Attributes of the bars, without those of the legend. */
  const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"/gu)]
    .map(([, x, y, width]) => ({ x: Number(x), y: Number(y), width: Number(width) }))
    .slice(2);
  const one = Number(/<line class="one" x1="([\d.]+)"/u.exec(svg)?.[1]);

  it('draws faster to the right of 1× and slower to the left, a doubling as far as another', () => {
    const [fourfold, eightfold, half, same] = bars as [Bar, Bar, Bar, Bar];
    expect(fourfold.x).to.equal(one);
    expect(eightfold.width).to.be.closeTo(fourfold.width * 1.5, 0.2);
    expect(half.x + half.width).to.be.closeTo(one, 0.2);
    expect(half.width).to.be.closeTo(fourfold.width / 2, 0.2);
    expect(same.width).to.equal(1);
  });

  it('is well-formed, whatever a subject is called, and has colours for the dark', () => {
    expect(svg).to.include('a &lt; b').and.not.include('a < b');
    expect(svg).to.include('prefers-color-scheme:dark');
    expect(svg.match(/<text/gu)?.length).to.equal(svg.match(/<\/text>/gu)?.length);
  });
});

type Bar = { readonly x: number; readonly y: number; readonly width: number };
