import { expect } from 'chai';

import type { PairSimulationOptions } from '../../src/testing/simulation/options.ts';
import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';

const sector = 512;
const times = { deadlineMs: 3_000, leaseMs: 2_250, initialGraceMs: 6_000 };
const options: PairSimulationOptions = {
  seed: 1,
  monitorLinks: ['mon1'],
  policy: { whenAlone: 'continue' },
  partitions: false,
  threadLagMs: 0,
};

const bytes = (value: number): Uint8Array => new Uint8Array(sector).fill(value);

async function outcome(request: Promise<unknown>): Promise<unknown> {
  return request.then(
    () => 'done',
    (error: unknown) => (error as { readonly code?: string }).code,
  );
}

describe('a pause that is shorter than the deadline', () => {
  it('lets a serving node not go on alone whose peer may have taken over, counted from when that heard it last (element.start)', async () => {
    const pair = await simulatePair({ ...options, times: { ...times, intervalMs: 1_000 }, links: { delayMs: 30 } });
    await pair.write({ offset: 0, bytes: bytes(1) });
    await pair.runFor(7_000);
    // Both look at about the same moment from now on.
    await pair.pause('alpha', { forMs: 1_615 });
    await pair.pause('beta', { forMs: 1_600 });
    await pair.runFor(2_638);
    await pair.perform({ do: 'break', link: 'all' });
    await pair.pause('alpha', { forMs: 2_035 });
    await pair.runFor(2_035);
    await outcome(pair.write({ node: 'beta', offset: 0, bytes: bytes(9), withinMs: 60 }));
    await pair.crash('beta');
    await pair.runFor(12_000);
    expect(await outcome(pair.write({ node: 'alpha', offset: sector, bytes: bytes(3), withinMs: 5_000 }))).to.equal('HM_NOT_REACHED');
    expect(pair.explain()).to.include('element.start');
    await pair.settle();
  });

  it('leaves no element uptodate whose source may have gone on alone, counted from when that heard it last (element.start)', async () => {
    const pair = await simulatePair({ ...options, times: { ...times, intervalMs: 1_450 }, links: { delayMs: 20 } });
    await pair.write({ offset: 0, bytes: bytes(1) });
    await pair.runFor(7_000);
    await pair.pause('alpha', { forMs: 1_475 });
    await pair.pause('beta', { forMs: 1_465 });
    await pair.runFor(1_465 + 720);
    await pair.perform({ do: 'break', link: 'data' });
    await pair.cut('data');
    await pair.runFor(745);
    await pair.perform({ do: 'break', link: 'mon1' });
    await pair.pause('beta', { forMs: 2_250 });
    await pair.until({ serving: 'alpha' }, { withinMs: 3_300 });
    await outcome(pair.write({ node: 'alpha', offset: 0, bytes: bytes(9), withinMs: 3_300 }));
    await pair.crash('alpha');
    await pair.runFor(12_000);
    expect(await outcome(pair.write({ node: 'beta', offset: sector, bytes: bytes(3), withinMs: 5_000 }))).to.not.equal('done');
    await pair.settle();
  });
});

describe('continue with an arbiter and no fence', () => {
  it('lets the arbiter decide when every link is silent: there is one owner (arbiter.cas)', async () => {
    const pair = await simulatePair({ arbiter: true, policy: { whenAlone: 'continue' } });
    await pair.write({ offset: 0, bytes: bytes(1) });
    await pair.cut('all');
    await pair.runFor(9_000);
    expect(await outcome(pair.write({ node: 'beta', offset: 0, bytes: bytes(3) }))).to.equal('done');
    await pair.runFor(12_000);
    expect(await outcome(pair.write({ node: 'alpha', offset: sector, bytes: bytes(2), withinMs: 5_000 }))).to.not.equal('done');
    await pair.settle();
    expect(await pair.read({ offset: 0, length: sector })).to.deep.equal(bytes(3));
  });

  it('goes on where the arbiter grants that', async () => {
    const pair = await simulatePair({ arbiter: true, policy: { whenAlone: 'continue' } });
    await pair.crash('beta');
    await pair.write({ offset: 0, bytes: bytes(3), withinMs: 20_000 });
    await pair.settle();
  });
});
