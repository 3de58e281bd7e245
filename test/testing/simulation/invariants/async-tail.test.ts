import { expect } from 'chai';

import { AsyncTail } from '../../../../src/testing/simulation/invariants/async-tail.ts';
import type { SectorWrite } from '../../../../src/testing/simulation/invariants/write-history.ts';
import type { ApplicationRequest } from '../../../../src/testing/simulation/watcher.ts';

const sectorBytes = 512;

function acknowledge(tail: AsyncTail, sector: number, number: number, issuedAt: number): void {
  const request = { offsetBytes: sector * sectorBytes, bytes: new Uint8Array(sectorBytes), issuedAt } as ApplicationRequest;
  const write: SectorWrite = { number, id: number, node: 'alpha', issuedAt, digest: 0 };
  tail.acknowledged(request, [write]);
}

describe('What a takeover by async may lose (write.both)', () => {
  it('is what fits into the window, counted from the last issued, whatever the order of acknowledgement', () => {
    const tail = new AsyncTail(2 * sectorBytes);
    acknowledge(tail, 0, 1, 1);
    acknowledge(tail, 1, 1, 3);
    acknowledge(tail, 2, 1, 4);
    // Issued before the others, and only now acknowledged: it is not at the end.
    acknowledge(tail, 0, 2, 2);
    expect([0, 1, 2].map((sector) => tail.safe(sector))).to.deep.equal([2, 0, 0]);
  });

  it('is lost once: what a takeover spared is promised from then on', () => {
    const tail = new AsyncTail(sectorBytes);
    acknowledge(tail, 0, 1, 1);
    tail.lost();
    acknowledge(tail, 0, 2, 2);
    acknowledge(tail, 0, 3, 3);
    expect(tail.safe(0)).to.equal(2);
  });
});
