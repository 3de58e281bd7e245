import { expect } from 'chai';

import { completeOptions } from '../../../src/testing/simulation/complete-options.ts';
import type { SimulationEntry } from '../../../src/testing/simulation/entry.ts';
import { lastEvents, timesInWords } from '../../../src/testing/simulation/last-events.ts';
import type { PairSimulationOptions } from '../../../src/testing/simulation/options.ts';
import { simulatePair, startPair } from '../../../src/testing/simulation/simulated-pair.ts';
import { World } from '../../../src/testing/simulation/world.ts';

const deadlineMs = 1_000;
const quick = { times: { deadlineMs } } satisfies PairSimulationOptions;

function entry(atMs: number, event: string, text: string, evidence?: Readonly<Record<string, unknown>>): SimulationEntry {
  const common = { schema: 1, seq: atMs, time: '', atMs, node: 'alpha', class: 0, event, text } as const;
  return evidence ? { ...common, evidence } : common;
}

const told = (log: readonly SimulationEntry[], most: number): readonly string[] =>
  lastEvents(log, most).map(
    (folded) => `${String(folded.entry.atMs)} ${folded.entry.text}${timesInWords(folded, (atMs) => `${String(atMs)} ms`)}`,
  );

describe('the last events', () => {
  it('tell what repeats itself once, where it happened last, with how often and since when', () => {
    const log = [1, 2, 3, 4].flatMap((at) => [
      entry(at * 10, 'link:connected', `connected by 0123456789abcde${String(at)}`),
      entry(at * 10 + 5, 'link:lost', 'lost'),
    ]);
    expect(told([entry(1, 'boot:decided', 'boots'), ...log], 20)).to.deep.equal([
      '1 boots',
      '40 connected by 0123456789abcde4 (4 times since 10 ms)',
      '45 lost (4 times since 15 ms)',
    ]);
  });

  it('are as many different ones as are wanted, however often each came', () => {
    const log = [
      entry(1, 'a:b', 'first'),
      entry(2, 'a:b', 'second'),
      ...Array.from({ length: 100 }, (_, at) => entry(at + 3, 'c:d', 'again')),
    ];
    expect(told(log, 2)).to.deep.equal(['2 second', '102 again (100 times since 3 ms)']);
  });

  it('keep faults and states apart by their numbers', () => {
    const log = [
      entry(1, 'fault:begun', 'cut link=mon1'),
      entry(2, 'fault:begun', 'cut link=mon2'),
      entry(3, 'node:state', 'epoch 1'),
      entry(4, 'node:state', 'epoch 2'),
    ];
    expect(told(log, 20)).to.have.lengthOf(4);
  });

  it('leave out steps of the platform that ended, and their journal', () => {
    const step = { step: 'mount' };
    const log = [
      entry(1, 'step:started', 'mount started', step),
      entry(2, 'record:written', 'start journal', { why: 'start journal' }),
      entry(3, 'step:finished', 'mount finished', step),
      entry(4, 'record:written', 'takeover', { why: 'takeover' }),
      entry(5, 'step:started', 'fsck started', { step: 'fsck' }),
    ];
    expect(told(log, 20)).to.deep.equal(['4 takeover', '5 fsck started']);
  });
});

describe('SimulatedPair: explain', () => {
  it('shows every fault that is in force, however long ago it began, and none that has ended', async () => {
    const pair = await simulatePair({ ...quick, arbiter: true });
    expect(pair.explain()).to.contain('no fault is in force');
    await pair.cut('mon1', { from: 'beta' });
    await pair.cut('data');
    await pair.perform({ do: 'conditions', link: 'mon2', conditions: { delayMs: 30 } });
    await pair.perform({ do: 'arbiter', reachable: false, node: 'beta' });
    await pair.perform({ do: 'disk', node: 'beta', disk: 'metadata', fault: { kind: 'slow', addMs: 5 } });
    await pair.perform({ do: 'clock', node: 'alpha', driftPpm: 100 });
    await pair.crash('beta', { afterEffects: 100_000 });
    await pair.runFor(20 * deadlineMs);
    await pair.pause('alpha');
    const lines = pair.explain().split('\n');
    const from = lines.indexOf('faults in force:') + 1;
    const dies = /^ {2}beta dies at effect \d+ from now$/u;
    expect(lines.slice(from, lines.indexOf('')).map((line) => (dies.test(line) ? '  beta dies' : line))).to.deep.equal([
      '  cut: data:m0, both ways',
      '  cut: mon1, what beta sends',
      '  link conditions {"delayMs":30}: mon2, both ways',
      '  beta does not reach the arbiter',
      '  the process of alpha stands still',
      '  the clock of alpha drifts by 100 ppm',
      '  beta dies',
      '  metadata of m0 at beta: slower by up to 5 ms',
    ]);
    await pair.settle();
    expect(pair.explain()).to.contain('the clock of alpha drifts').and.not.contain('cut:');
  });

  it('shows why a node did not start', async () => {
    const world = new World(completeOptions(quick));
    const pair = await startPair(world);
    await pair.crash('beta');
    const { record } = world.nodes.beta.disks;
    record.inject({ kind: 'unreadable', offsetBytes: 0, lengthBytes: record.contents.byteLength });
    await pair.boot('beta');
    await pair.runFor(10);
    expect(pair.explain()).to.match(/faults in force:\n {2}the last start of beta failed: .*record/u);
  });

  it('says how old the word of the other node is', async () => {
    const pair = await simulatePair(quick);
    await pair.cut('all');
    await pair.runFor(700);
    const [, age] = /beta is passive.* was last told (\d+) ms ago that alpha serves/u.exec(pair.explain()) ?? [];
    expect(Number(age)).to.be.within(700, 900);
  });

  it('names, where both nodes went on alone, the rules and what an operator does; so does the settle that finds it', async () => {
    const pair = await simulatePair(quick);
    await pair.cut('all');
    await pair.runFor(20 * deadlineMs);
    const error = await pair.settle().then(
      () => expect.fail('it became whole'),
      (reason: unknown) => reason as Error,
    );
    for (const text of [error.message, pair.explain()])
      expect(text).to.match(
        /split brain \(boot\.conflict, lineage\.split\).*takeover\.unfenced.*orchestrator\.resolve.*init --force --blank/u,
      );
  });
});

describe('the state of a node in the log', () => {
  it('is passive from the moment at which the node decides it', async () => {
    const pair = await simulatePair();
    const at = (event: string, text: RegExp): number | undefined =>
      pair.log.find((one) => one.node === 'beta' && one.event === event && text.test(one.text))?.atMs;
    expect(at('node:state', /^passive/u)).to.equal(at('boot:decided', /passive/u));
    await pair.crash('beta');
    await pair.boot('beta');
    const bootedMs = pair.nowMs;
    await pair.until({ whole: true });
    const last = pair.log.findLast((one) => one.node === 'beta' && one.event === 'node:state');
    expect(last?.text).to.match(/^passive/u);
    expect(last?.atMs).to.be.within(bootedMs, pair.nowMs);
  });
});
