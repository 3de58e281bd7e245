import { expect } from 'chai';

import { NullPair } from '../../bench/growth/dirty-extents.ts';
import { dirtyTable, pairTable, sizeTable } from '../../bench/growth/tables.ts';

describe('bench: growth', () => {
  it('has a row for each size of everything', () => {
    const latency = { p50: 1, p99: 2, p999: 3 };
    const cost = {
      count: 4,
      perSecond: 1_000,
      bytes: 1,
      requests: 1,
      latency,
      idleCpu: 0.025,
      cpuMicrosecondsPerWrite: 12.5,
      peakMebibytes: 300,
    };
    expect(pairTable('mirrors', [cost]).split('\n').at(-1)).to.equal('| 4 | 1,000 | 1 | 2 | 12.5 | 2.5 % | 300 |');
    const size = { gibibytes: 1_024, createdMs: [1, 2], loadedMs: 3, markedMs: 4, stoppedMs: 5, dirtyBytes: 6, peakMebibytes: 7 };
    expect(sizeTable([size]).split('\n').at(-1)).to.equal('| 1,024 | 2 | 3 | 4 | 5 | 7 |');
    const dirty = { extents: 1_000_000, microsecondsPerWrite: 10, loadedMs: 1, startedMs: 2, extentsPerSecond: 7_000 };
    expect(dirtyTable([dirty]).split('\n').at(-1)).to.equal('| 1,000,000 | 10 | 1 | 2 | 7,000 |');
  });

  it('makes as many extents dirty as it is asked to, and has them compared', async () => {
    const pair = await NullPair.whole(64);
    for (const extents of [1, 20]) {
      const cost = await pair.measure(extents, 5);
      expect(cost.extents).to.equal(extents);
      expect(cost.extentsPerSecond).to.be.within(Number.MIN_VALUE, Number.MAX_VALUE);
    }
  });
});
