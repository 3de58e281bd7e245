import { expect } from 'chai';

import { devicePromises } from '../../../src/device/promises.ts';
import type { HotMirrorError } from '../../../src/errors.ts';
import { simulatePair } from '../../../src/testing/simulation/simulated-pair.ts';
import type { SimulatedPair } from '../../../src/testing/simulation/simulated-pair.ts';
import type { PairSimulationOptions } from '../../../src/testing/simulation/options.ts';

const deadlineMs = 1_000;
const quick = { times: { deadlineMs } } satisfies PairSimulationOptions;
const bytes = (value: number): Uint8Array => new Uint8Array(512).fill(value);

async function rejection(promise: Promise<unknown>): Promise<HotMirrorError> {
  return promise.then(
    () => expect.fail('it did not reject'),
    (error: unknown) => error as HotMirrorError,
  );
}

const codeOf = async (promise: Promise<unknown>): Promise<string> => (await rejection(promise)).code;

describe('simulatePair', () => {
  it('gives a pair that has started: alpha serves, beta mirrors and would take over', async () => {
    const pair = await simulatePair();
    expect([pair.serving, pair.whole]).to.deep.equal(['alpha', true]);
    expect(pair.node('beta')?.monitor.watchState()).to.equal('normal');
    expect(
      pair
        .node('beta')
        ?.orchestrator.plan('fallback')
        .blockedBy.map(({ rule }) => rule),
    ).to.not.include('boot.alone');
    const diedMs = pair.nowMs;
    await pair.crash('alpha');
    await pair.until({ serving: 'beta' });
    expect(pair.nowMs - diedMs).to.be.within(4_000, 6_000);
  });

  it('refuses options that make no sense', async () => {
    const refused = async (options: PairSimulationOptions): Promise<void> => {
      expect(await rejection(simulatePair(options)), JSON.stringify(options)).to.be.instanceOf(RangeError);
    };
    await refused({ seed: -1 });
    await refused({ seed: 0.5 });
    await refused({ mirrors: [] });
    await refused({ monitorLinks: [] });
    await refused({ mirrors: [{ name: 'm0' }, { name: 'm0' }] });
    await refused({ monitorLinks: ['data'] });
    await refused({ mirrors: [{ name: 'm0', sizeBytes: 1_000 }] });
    await refused({ driftPpm: { alpha: 501 } });
    await refused({ threadLagMs: -1 });
    await refused({ times: { leaseMs: 5_000 } });
  });

  it('has as many mirrors and monitor links as are wanted', async () => {
    const pair = await simulatePair({ ...quick, mirrors: [{ name: 'm0' }, { name: 'm1', sizeBytes: 65_536 }], monitorLinks: ['serial'] });
    await pair.write({ mirror: 'm1', offset: 512, bytes: bytes(9) });
    expect(await pair.read({ mirror: 'm1', offset: 512, length: 512 })).to.deep.equal(bytes(9));
    expect(await pair.read({ mirror: 'm0', offset: 512, length: 512 })).to.deep.equal(bytes(0));
    await pair.cut('data:m1');
    await pair.cut('serial');
    await pair.settle();
  });
});

describe('SimulatedPair: time', () => {
  let pair: SimulatedPair;
  beforeEach(async () => (pair = await simulatePair(quick)));

  it('runFor: moves virtual time by exactly as much', async () => {
    const before = pair.nowMs;
    await pair.runFor(1_234.5);
    expect(pair.nowMs - before).to.equal(1_234.5);
    await pair.perform({ do: 'run', forMs: 10 });
    expect(pair.nowMs - before).to.equal(1_244.5);
  });

  it('an hour passes in seconds', async function () {
    const idle = await simulatePair();
    const startedMs = performance.now();
    await idle.runFor(3_600_000);
    const tookMs = performance.now() - startedMs;
    this.test!.title += ` (${tookMs.toFixed(0)} ms)`;
    expect([idle.serving, idle.whole]).to.deep.equal(['alpha', true]);
  });

  it('until: returns at once where it is so already, else as soon as it is', async () => {
    const before = pair.nowMs;
    await pair.until({ mode: 'normal', serving: 'alpha', whole: true });
    expect(pair.nowMs).to.equal(before);
    await pair.crash('alpha');
    await pair.until({ serving: null });
    expect(pair.nowMs).to.equal(before);
    await pair.until(({ nowMs }) => nowMs > before + 100);
    expect(pair.nowMs - before).to.be.within(100, 2 * deadlineMs);
    await pair.until({ mode: 'fallback', serving: 'beta', whole: false });
  });

  it('until: HM_NOT_REACHED at its limit, with an explanation', async () => {
    const before = pair.nowMs;
    const error = await rejection(pair.until({ serving: 'beta' }, { withinMs: 700 }));
    expect(error.code).to.equal('HM_NOT_REACHED');
    expect(error.message).to.include('{"serving":"beta"}').and.include('seed 1');
    expect(pair.nowMs - before).to.equal(700);
    expect(await codeOf(pair.until(() => false))).to.equal('HM_NOT_REACHED');
    expect(pair.nowMs - before, 'ten minutes where nothing else is said').to.equal(600_700);
  });

  it('settled: gives the outcome of a promise of the real classes', async () => {
    await pair.settled(pair.node('alpha')!.orchestrator.setControl('manual'));
    expect(pair.node('alpha')!.orchestrator.status().control).to.equal('manual');
    expect(await codeOf(pair.settled(pair.node('alpha')!.mirrors.get('m0')!.seal()))).to.match(/^HM_/u);
  });

  it('close: nothing moves any more', async () => {
    pair.close();
    const entries = pair.log.length;
    await pair.runFor(60_000);
    expect([pair.serving, pair.log.length]).to.deep.equal([null, entries]);
  });
});

describe('SimulatedPair: requests', () => {
  let pair: SimulatedPair;
  beforeEach(async () => (pair = await simulatePair({ ...quick, policy: { whenAlone: 'freeze' } })));

  it('write, flush, read: what is acknowledged is on both nodes', async () => {
    const content = bytes(3);
    await pair.write({ offset: 1_024, bytes: content, fua: true });
    content.fill(4);
    await pair.flush();
    expect(await pair.read({ offset: 1_024, length: 512 })).to.deep.equal(bytes(3));
    expect(pair.acknowledged).to.equal(3);
    await pair.crash('alpha');
    await pair.until({ serving: 'beta' });
    expect(await pair.read({ offset: 1_024, length: 512 })).to.deep.equal(bytes(3));
  });

  it('reject with the code that a user would get', async () => {
    expect(await codeOf(pair.write({ offset: 1, bytes: bytes(1) }))).to.equal('HM_UNALIGNED');
    expect(await codeOf(pair.read({ offset: 2 ** 30, length: 512 }))).to.equal('HM_OUT_OF_RANGE');
    expect(await codeOf(pair.read({ node: 'beta', offset: 0, length: 512 }))).to.equal('HM_NOT_SERVING');
    await pair.crash('beta');
    expect(await codeOf(pair.read({ node: 'beta', offset: 0, length: 512 }))).to.equal('HM_NOT_SERVING');
    expect(await rejection(pair.read({ mirror: 'm7', offset: 0, length: 512 }))).to.be.instanceOf(RangeError);
  });

  it('HM_NODE_DIED where the node dies before it answers', async () => {
    await pair.crash('alpha', { afterEffects: 1 });
    const error = await rejection(pair.write({ offset: 512, bytes: bytes(1) }));
    expect([error.code, error.message]).to.deep.equal([
      'HM_NODE_DIED',
      'alpha died before it answered the write of 512 bytes at 512 to m0',
    ]);
    expect(pair.node('alpha')).to.equal(null);
  });

  it('wait as they would on a frozen node, and succeed when the link is back', async () => {
    await pair.cut('all');
    await pair.runFor(3 * deadlineMs);
    const before = pair.nowMs;
    expect(await codeOf(pair.write({ offset: 0, bytes: bytes(1), node: 'alpha' }))).to.equal('HM_NOT_REACHED');
    expect(pair.nowMs - before).to.equal(600_000);
    await pair.heal();
    await pair.until({ whole: true });
    await pair.write({ offset: 0, bytes: bytes(2) });
  });
});

describe('SimulatedPair: faults', () => {
  let pair: SimulatedPair;
  beforeEach(async () => (pair = await simulatePair(quick)));

  it('crash and boot: the process is gone, then a new one starts, and what it wrote is there', async () => {
    await pair.write({ offset: 0, bytes: bytes(5) });
    await pair.crash('alpha');
    expect(pair.node('alpha')).to.equal(null);
    await pair.until({ serving: 'beta' });
    await pair.boot('alpha');
    await pair.until({ whole: true });
    expect(pair.serving).to.equal('beta');
    await pair.recover();
    expect(await pair.read({ node: 'alpha', offset: 0, length: 512 })).to.deep.equal(bytes(5));
  });

  it('crash by power: what FUA made durable is there on the node that lost power', async () => {
    pair = await simulatePair({ ...quick, powerCuts: true });
    await pair.write({ offset: 0, bytes: bytes(6), fua: true });
    for (const node of ['alpha', 'beta'] as const) await pair.crash(node, { how: 'power' });
    for (const node of ['alpha', 'beta'] as const) await pair.boot(node);
    await pair.until({ whole: true });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(6));
  });

  it('stop: in order, so that nobody takes over', async () => {
    await pair.stop('alpha');
    await pair.runFor(10 * deadlineMs);
    expect([pair.node('alpha'), pair.serving]).to.deep.equal([null, null]);
    await pair.boot('alpha');
    await pair.until({ serving: 'alpha', whole: true });
  });

  it('pause: the process stands still for as long as was said, and the world goes on', async () => {
    await pair.pause('alpha', { forMs: 5 * deadlineMs });
    const oneMirror = pair.node('alpha')!.mirrors.get('m0')!;
    await pair.until({ serving: 'beta' }, { withinMs: 5 * deadlineMs }).catch(() => undefined);
    expect(pair.node('beta')!.orchestrator.status().serving).to.equal(true);
    expect(pair.node('alpha')!.mirrors.get('m0'), 'it is the same process').to.equal(oneMirror);
    await pair.until({ whole: true });
    expect(pair.serving).to.equal('beta');
  });

  it('pause and resume: for good until it is resumed', async () => {
    await pair.pause('beta');
    await pair.pause('beta');
    await pair.runFor(60_000);
    expect(pair.whole).to.equal(false);
    await pair.resume('beta');
    await pair.until({ whole: true }, { withinMs: 10_000 });
  });

  it('pause: a node that served and stood still does not go on alone before its peer has answered (element.start)', async () => {
    await pair.pause('alpha');
    await pair.runFor(10 * deadlineMs);
    await pair.write({ node: 'beta', offset: 0, bytes: bytes(5) });
    await pair.crash('beta');
    await pair.resume('alpha');
    await pair.runFor(10 * deadlineMs);
    expect(pair.explain()).to.match(/alpha.*element\.start/u);
    await pair.boot('beta');
    await pair.until({ whole: true });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(5));
    await pair.crash('alpha');
    await pair.until({ serving: 'beta' });
  });

  it('pause: once its peer has answered, a node that stood still goes on alone when that dies', async () => {
    await pair.crash('beta');
    await pair.boot('beta');
    await pair.until({ whole: true });
    await pair.pause('alpha', { forMs: 0.9 * deadlineMs });
    await pair.runFor(2 * deadlineMs);
    expect(pair.log.map(({ event }) => event)).to.include('monitor:overslept');
    await pair.crash('beta');
    await pair.runFor(5 * deadlineMs);
    await pair.write({ offset: 0, bytes: bytes(6) });
    expect(pair.serving).to.equal('alpha');
  });

  it('disk: the only one that holds everything does not fail, though the other node does not know yet that it lacks something', async () => {
    await pair.pause('alpha');
    await pair.runFor(10 * deadlineMs);
    await pair.write({ node: 'beta', offset: 0, bytes: bytes(7) });
    await pair.perform({ do: 'disk', node: 'beta', disk: 'element', fault: { kind: 'write-error', count: 1 } });
    await pair.write({ node: 'beta', offset: 0, bytes: bytes(8) });
    await pair.resume('alpha');
    await pair.until({ whole: true });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(8));
  });

  it('disk: works again once its node went on without the other, which does not know yet that it is behind', async () => {
    await pair.perform({ do: 'disk', node: 'beta', disk: 'element', fault: { kind: 'write-error', count: 3 } });
    await pair.pause('alpha');
    await pair.runFor(5 * deadlineMs);
    const mirror = pair.node('beta')!.mirrors.get('m0')!;
    expect([mirror.state().serving, mirror.state().element]).to.deep.equal(['alone', 'uptodate']);
    await pair.settled(devicePromises(mirror).write(0, bytes(7)));
    expect(mirror.state().element).to.equal('uptodate');
  });

  it('cut and heal: one link, one direction, all of them', async () => {
    const states = (): unknown[] => pair.log.filter(({ event }) => event === 'link:state').map(({ evidence }) => evidence);
    await pair.cut('mon1', { from: 'beta' });
    expect(states().at(-1)).to.deep.equal({ link: 'mon1', alpha: 'open', beta: 'cut' });
    await pair.cut('all');
    await pair.heal('mon1');
    expect(states().at(-1)).to.deep.equal({ link: 'mon1', alpha: 'open', beta: 'open' });
    await pair.runFor(5 * deadlineMs);
    expect([pair.serving, pair.whole]).to.deep.equal(['alpha', false]);
    await pair.heal();
    await pair.until({ whole: true });
    expect(await rejection(pair.cut('mon9'))).to.be.instanceOf(RangeError);
  });

  it('the arbiter: out of reach of one node, it grants that node nothing', async () => {
    pair = await simulatePair({ ...quick, arbiter: true });
    await pair.perform({ do: 'arbiter', reachable: false, node: 'beta' });
    await pair.crash('alpha');
    await pair.runFor(10 * deadlineMs);
    expect(pair.serving).to.equal(null);
    await pair.perform({ do: 'arbiter', reachable: true, node: 'beta' });
    await pair.until({ serving: 'beta' });
  });

  it('the arbiter: slow, and losing what it is asked and answers, it decides all the same', async () => {
    pair = await simulatePair({ ...quick, arbiter: true, latencies: { arbiterMs: 100 } });
    await pair.perform({ do: 'arbiter', reachable: true, lossPercent: 50 });
    await pair.crash('alpha');
    await pair.until({ serving: 'beta' });
  });

  it('a fence powers the other machine off before a takeover, and before a serving node goes on alone', async () => {
    pair = await simulatePair({ ...quick, fence: true });
    await pair.cut('all');
    await pair.until({ serving: 'beta' });
    expect(pair.node('alpha')).to.equal(null);
    await pair.heal();
    await pair.boot('alpha');
    await pair.until({ whole: true });
    for (let run = 0; run < 6; run += 1) await pair.perform({ do: 'platform', node: 'alpha', step: 'fence', outcome: 'fail' });
    await pair.cut('all');
    await pair.until(({ log }) => log.some(({ event, evidence }) => event === 'alone:decided' && evidence?.['action'] === 'fence'));
    await pair.runFor(100);
    expect([pair.node('alpha'), pair.serving]).to.deep.equal([null, 'beta']);
    await pair.settle();
  });

  it('a fence that fails lets nobody serve; one that took effect and failed stays tried until it succeeds', async () => {
    pair = await simulatePair({ ...quick, fence: true });
    for (let run = 0; run < 3; run += 1) await pair.perform({ do: 'platform', node: 'beta', step: 'fence', outcome: 'fail' });
    await pair.perform({ do: 'platform', node: 'beta', step: 'fence', outcome: 'fail-in-effect' });
    await pair.crash('alpha');
    await pair.runFor(2 * deadlineMs);
    expect(pair.serving).to.equal(null);
    await pair.until({ serving: 'beta' });
  });

  it('pause: a write that was answered in the same moment was not answered by a process that stood still', async () => {
    pair = await simulatePair({ ...quick, policy: { whenAlone: 'continue' } });
    await pair.crash('beta');
    await pair.until((one) => one.node('alpha')?.mirrors.get('m0')?.state().serving === 'alone');
    await pair.write({ offset: 0, bytes: bytes(7) });
    await pair.pause('alpha');
  });

  it('pause: with suspend the monotonic clock of the machine stands still, so that its lease would seem to hold', async () => {
    pair = await simulatePair({
      ...quick,
      policy: { whenAlone: 'freeze' },
      workload: { readsPercent: 90, writesPercent: 10, pauseMs: 20 },
    });
    await pair.cut('all');
    await pair.pause('alpha', { forMs: 0.9 * deadlineMs, suspend: true });
    await pair.runFor(3 * deadlineMs);
    expect(pair.log.filter(({ event, node }) => event === 'monitor:overslept' && node === 'alpha')).to.have.length(1);
    expect(pair.serving).to.equal('beta');
    await pair.settle();
  });

  it('clocks: the wall jumps, the rate changes, and the pair goes on', async () => {
    await pair.perform({ do: 'clock', node: 'alpha', jumpWallMs: 3_600_000 });
    await pair.perform({ do: 'clock', node: 'beta', driftPpm: -500 });
    await pair.runFor(60_000);
    await pair.settle();
    await pair.write({ offset: 0, bytes: bytes(1) });
  });
});

describe('SimulatedPair: orders', () => {
  let pair: SimulatedPair;
  beforeEach(async () => (pair = await simulatePair(quick)));

  it('fallback, recover, switchover: move the service and wait until it is served', async () => {
    await pair.fallback();
    expect(pair.serving).to.equal('beta');
    await pair.until({ mode: 'fallback' }, { withinMs: 0 });
    await pair.write({ offset: 0, bytes: bytes(1) });
    await pair.recover();
    expect(pair.serving).to.equal('alpha');
    await pair.write({ offset: 0, bytes: bytes(2) });
    await pair.switchover({ node: 'alpha' });
    expect(pair.serving).to.equal('beta');
  });

  it('reject with the refusal of the rule, and leave both in the log', async () => {
    await pair.crash('alpha');
    await pair.until({ serving: 'beta' });
    const error = await rejection(pair.recover());
    expect([error.code, error.rule]).to.deep.equal(['HM_REFUSED', 'recover.ready']);
    const [asked, answered] = pair.log.filter(({ event }) => event.startsWith('operator:'));
    expect(asked).to.deep.include({ node: 'beta', evidence: { order: 'recover', code: null } });
    expect(answered).to.deep.include({ rule: 'recover.ready', evidence: { order: 'recover', code: 'HM_REFUSED' } });
  });

  it('as a step are not waited for, and a refusal breaks nothing', async () => {
    const before = pair.nowMs;
    await pair.perform({ do: 'operator', node: 'beta', order: 'recover' });
    await pair.crash('beta');
    await pair.perform({ do: 'operator', node: 'beta', order: 'recover' });
    await pair.perform({ do: 'operator', node: 'alpha', order: 'switchover' });
    expect(pair.nowMs).to.equal(before);
    await pair.settle();
  });

  it('HM_NO_NODE where nobody is asked, HM_NODE_DIED where the one asked dies', async () => {
    await pair.crash('beta');
    expect(await codeOf(pair.order('manual', { node: 'beta' }))).to.equal('HM_NO_NODE');
    await pair.order('manual');
    await pair.crash('alpha', { afterEffects: 1 });
    expect(await codeOf(pair.order('auto'))).to.equal('HM_NODE_DIED');
  });
});

describe('SimulatedPair: settle', () => {
  it('ends every fault, repairs what is broken, and leaves a pair that is whole', async () => {
    const pair = await simulatePair({ ...quick, arbiter: true, workload: {} });
    await pair.perform({ do: 'arbiter', reachable: false });
    await pair.cut('all');
    await pair.pause('beta');
    await pair.runFor(5 * deadlineMs);
    await pair.crash('alpha');
    await pair.settle();
    expect([pair.whole, pair.serving !== null]).to.deep.equal([true, true]);
    const before = pair.acknowledged;
    await pair.runFor(5_000);
    expect(pair.acknowledged, 'the application works again').to.be.above(before);
  });
});

describe('SimulatedPair: explain', () => {
  it('names seed, time and the last that happened', async () => {
    const pair = await simulatePair({ ...quick, seed: 77 });
    await pair.cut('data');
    expect(pair.explain()).to.include('seed 77').and.include('cut link=data');
  });

  it('says who waits for what', async () => {
    const pair = await simulatePair({ ...quick, policy: { whenAlone: 'freeze' } });
    await pair.cut('all');
    await pair.runFor(3 * deadlineMs);
    expect(pair.explain()).to.match(/alpha.*alone/u);
    await pair.crash('alpha');
    await pair.crash('beta');
    await pair.boot('beta');
    await pair.runFor(10 * deadlineMs);
    expect(pair.explain())
      .to.match(/alpha.*down/u)
      .and.match(/beta.*boot\.alone/u);
  });
});

describe('SimulatedPair: a crash at any effect', function () {
  this.timeout(60_000);
  const most = 40;

  for (const node of ['alpha', 'beta'] as const)
    it(`of ${node} during a hand-over: the pair becomes whole and loses nothing`, async () => {
      for (let afterEffects = 1; afterEffects <= most; afterEffects += 1) {
        const pair = await simulatePair({ ...quick, seed: afterEffects });
        await pair.write({ offset: 0, bytes: bytes(afterEffects) });
        await pair.crash(node, { afterEffects });
        await pair.perform({ do: 'operator', node: 'alpha', order: 'switchover' });
        await pair.runFor(deadlineMs);
        await pair.settle();
        expect(await pair.read({ offset: 0, length: 512 }), `effect ${afterEffects}`).to.deep.equal(bytes(afterEffects));
      }
    });

  it('of beta during its takeover: the pair becomes whole and loses nothing', async () => {
    let died = 0;
    for (let afterEffects = 1; afterEffects <= most; afterEffects += 1) {
      const pair = await simulatePair({ ...quick, seed: afterEffects });
      await pair.write({ offset: 0, bytes: bytes(afterEffects) });
      await pair.crash('alpha');
      await pair.until(({ log }) => log.some(({ event }) => event === 'takeover:decided'));
      await pair.crash('beta', { afterEffects });
      await pair.runFor(2 * deadlineMs);
      died += pair.node('beta') ? 0 : 1;
      await pair.settle();
      expect(await pair.read({ offset: 0, length: 512 }), `effect ${afterEffects}`).to.deep.equal(bytes(afterEffects));
    }
    expect(died).to.be.above(most / 2);
  });
});
