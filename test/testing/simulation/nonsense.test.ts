import { inspect } from 'node:util';

import { expect } from 'chai';

import type { ExplorationOptions } from '../../../src/testing/exploration/options.ts';
import { explore } from '../../../src/testing/exploration/explore.ts';
import type { SimulatedPair } from '../../../src/testing/simulation/simulated-pair.ts';
import { simulatePair, startPair } from '../../../src/testing/simulation/simulated-pair.ts';
import { completeOptions } from '../../../src/testing/simulation/complete-options.ts';
import type { PairSimulationOptions } from '../../../src/testing/simulation/options.ts';
import type { SimulationStep } from '../../../src/testing/simulation/steps.ts';
import { World } from '../../../src/testing/simulation/world.ts';

/** What a program without types may say. */
type Said<Type> = Type | Readonly<Record<string, unknown>>;

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => expect.fail('it was accepted'),
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(RangeError);
  return (error as RangeError).message;
}

describe('simulatePair: options that make no sense are refused at once, by their path', () => {
  const refused: readonly (readonly [Said<PairSimulationOptions>, RegExp])[] = [
    [{ whenAlone: 'freeze' }, /"whenAlone"/u],
    [{ seed: Number.NaN }, /^seed: /u],
    [{ monitorLinks: [] }, /^monitorLinks: /u],
    [{ mirrors: [{ name: 'm0', sizeBytes: 0 }] }, /^mirrors\.0\.sizeBytes: /u],
    [{ mirrors: [{ name: 'mon1' }] }, /^mirrors, monitorLinks: .*same name/u],
    [{ policy: { whenAlone: 'frezze' } }, /^policy\.whenAlone: .*continue.*freeze.*arbiter/u],
    [{ policy: { whenAlone: 'arbiter' } }, /^policy\.whenAlone.* needs an arbiter/u],
    [{ policy: { stepDeadlineMs: 0 } }, /^policy\.stepDeadlineMs must be more than 0/u],
    [{ policy: { stepRetries: 0.5 } }, /^policy\.stepRetries: /u],
    [{ times: { deadlineMs: 1_000, intervalMs: 800 } }, /^times\.deadlineMs must be at least 2 × intervalMs/u],
    [{ times: { deadlineMs: Number.NaN } }, /^times\.deadlineMs: /u],
    [{ times: { intervalMs: 0 } }, /^times\.intervalMs must be above 0/u],
    [{ times: { leaseMs: 5_000 } }, /^times\.leaseMs must be .*timing\.lease/u],
    [{ times: { initialGraceMs: 9_999 } }, /^times\.initialGraceMs must be at least 2 × deadlineMs/u],
    [{ workload: { blocks: 0 } }, /^workload\.blocks: /u],
    [{ workload: { depth: -1 } }, /^workload\.depth: /u],
    [{ workload: { blockBytes: 700 } }, /^workload\.blockBytes: /u],
    [{ workload: { blockBytes: 2_097_152 } }, /^workload\.blockBytes must be at most the size of m0/u],
    [{ workload: { writesPercent: 80 } }, /^workload\.writesPercent and readsPercent must be at most 100/u],
    [{ links: { delayMs: -1 } }, /^links\.delayMs: /u],
    [{ links: { lostPerMillion: 1_000_001 } }, /^links\.lostPerMillion: /u],
    [{ latencies: { elementMs: Infinity } }, /^latencies\.elementMs: /u],
    [{ driftPpm: { beta: -501 } }, /^driftPpm\.beta: /u],
    [{ driftPpm: { gamma: 1 } }, /^driftPpm: .*"gamma"/u],
    [{ threadLagMs: Number.NaN }, /^threadLagMs: /u],
    [{ activeRegions: 1 }, /^activeRegions must be 2 to 1024/u],
    [{ activeRegions: 2.5 }, /^activeRegions: /u],
    [{ detail: 'al' }, /^detail: .*events.*all/u],
    [{ arbiter: 'yes' }, /^arbiter: /u],
  ];
  for (const [options, message] of refused)
    it(inspect(options, { breakLength: Infinity }), async () => {
      expect(await refusal(simulatePair(options))).to.match(message);
    });

  it('a node that cannot start ends the start of the pair with its own error, and not with the end of patience', async () => {
    const world = new (class extends World {
      override async init(): Promise<void> {
        await super.init();
        const { record } = this.nodes.beta.disks;
        record.inject({ kind: 'unreadable', offsetBytes: 0, lengthBytes: record.contents.byteLength });
      }
    })(completeOptions({}));
    const error = await startPair(world).then(
      () => expect.fail('it started'),
      (reason: unknown) => reason,
    );
    expect(error).to.include({ code: 'HM_METADATA_CORRUPT' });
    expect(world.clock.nowMs()).to.be.below(1_000);
  });
});

describe('SimulatedPair: a call that makes no sense is refused, and nothing happens', () => {
  let pair: SimulatedPair;
  before(async () => (pair = await simulatePair()));

  const steps: readonly (readonly [Said<SimulationStep>, RegExp])[] = [
    [{ do: 'explode' }, /do: .*'run' \| 'crash'/u],
    [{ do: 'run', forMs: -1 }, /forMs: /u],
    [{ do: 'crash', node: 'gamma', how: 'process' }, /node: .*"alpha"\|"beta"/u],
    [{ do: 'crash', node: 'alpha', how: 'axe' }, /how: .*"process"\|"power"/u],
    [{ do: 'cut', link: 'wan' }, /there is no link wan; there are data:m0, mon1, mon2, data, all/u],
    [{ do: 'cut', link: 'all', from: 'gamma' }, /from: /u],
    [{ do: 'break', link: 'data:m7' }, /there is no link data:m7/u],
    [{ do: 'conditions', link: 'all', conditions: { lateMs: 3 } }, /conditions: .*"lateMs"/u],
    [{ do: 'disk', node: 'alpha', disk: 'element', fault: { kind: 'burn' } }, /fault\.kind: .*'unreadable'/u],
    [{ do: 'disk', node: 'alpha', disk: 'floppy', fault: { kind: 'full' } }, /disk: /u],
    [{ do: 'mend', node: 'alpha', disk: 'element', mirror: 'm7' }, /there is no mirror m7; there are m0/u],
    [{ do: 'operator', node: 'alpha', order: 'nonsense' }, /order: .*"fallback"/u],
    [{ do: 'platform', node: 'alpha', step: 'dance', outcome: 'fail' }, /step: /u],
  ];
  for (const [step, message] of steps)
    it(`perform(${JSON.stringify(step)})`, async () => {
      const before = pair.log.length;
      expect(await refusal(pair.perform(step as SimulationStep))).to.match(message);
      expect(pair.log.length).to.equal(before);
    });

  const gamma = 'gamma' as 'alpha';
  const calls: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
    ['runFor(NaN)', () => pair.runFor(Number.NaN), /ms must be a finite number from 0, not NaN/u],
    ['runFor(-1)', () => pair.runFor(-1), /not -1/u],
    ['runFor(Infinity)', () => pair.runFor(Infinity), /not Infinity/u],
    ['until with a word that is none', () => pair.until({ servng: 'beta' } as object), /"servng"/u],
    ['until with a node that is none', () => pair.until({ serving: gamma }), /serving: /u],
    ['until with nothing to wait for', () => pair.until({}), /nothing is waited for/u],
    ['until without end', () => pair.until({ whole: true }, { withinMs: Infinity }), /withinMs must be a finite number/u],
    ['boot of no node', () => pair.boot(gamma), /there is no node gamma; there are alpha, beta/u],
    ['stop of no node', () => pair.stop(gamma), /there is no node gamma/u],
    ['an order that is none', () => pair.order('nonsense' as 'manual'), /order: /u],
    ['an order to no node', () => pair.order('manual', { node: gamma }), /node: /u],
    ['a write to no node', () => pair.write({ offset: 0, bytes: new Uint8Array(512), node: gamma }), /there is no node gamma/u],
    ['a write to no mirror', () => pair.write({ offset: 0, bytes: new Uint8Array(512), mirror: 'm7' }), /there is no mirror m7/u],
    ['a flush for no time', () => pair.flush({ withinMs: -1 }), /withinMs/u],
  ];
  for (const [what, call, message] of calls)
    it(what, async () => {
      expect(await refusal(call())).to.match(message);
      expect([pair.nowMs, pair.whole]).to.deep.equal([10_001, true]);
    });

  it('node(…) of no node', () => {
    expect(() => pair.node(gamma)).to.throw(RangeError, 'there is no node gamma');
  });
});

describe('explore: options that make no sense are refused, by their path', () => {
  const bounds = { postponements: 0, crashes: 0, partitions: 0, writes: 1 };
  const refused: readonly (readonly [Said<ExplorationOptions>, RegExp])[] = [
    [{ whenAlone: 'freeze' }, /^bounds: /u],
    [{ whenAlone: 'x', bounds }, /^whenAlone: /u],
    [{ whenAlone: 'freeze', bounds: { partitions: 1 } }, /^bounds\.postponements: /u],
    [{ whenAlone: 'freeze', bounds: { ...bounds, partitions: -1 } }, /^bounds\.partitions: /u],
    [{ whenAlone: 'freeze', bounds, ways: ['gamma'] }, /^ways\.0: /u],
    [{ whenAlone: 'freeze', bounds, maxSchedules: 0 }, /^maxSchedules: /u],
  ];
  for (const [options, message] of refused)
    it(inspect(options, { breakLength: Infinity }), async () => {
      expect(await refusal(explore(options as unknown as ExplorationOptions))).to.match(message);
    });
});
