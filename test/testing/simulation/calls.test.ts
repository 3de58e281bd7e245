import { expect } from 'chai';

import type { HotMirrorError } from '../../../src/errors.ts';
import type { PairSimulationOptions } from '../../../src/testing/simulation/options.ts';
import { simulatePair } from '../../../src/testing/simulation/simulated-pair.ts';
import type { SimulatedPair } from '../../../src/testing/simulation/simulated-pair.ts';

const deadlineMs = 1_000;
const quick = { times: { deadlineMs } } satisfies PairSimulationOptions;
const bytes = (value: number): Uint8Array => new Uint8Array(512).fill(value);

async function rejection(promise: Promise<unknown>): Promise<HotMirrorError> {
  return promise.then(
    () => expect.fail('it did not reject'),
    (error: unknown) => error as HotMirrorError,
  );
}

describe('SimulatedPair: a node that stands still serves nobody', () => {
  let pair: SimulatedPair;
  beforeEach(async () => {
    pair = await simulatePair(quick);
    await pair.pause('alpha');
  });

  it('nobody serves while it stands still alone', async () => {
    expect(pair.serving).to.equal(null);
    await pair.until({ serving: null }, { withinMs: 0 });
    expect((await rejection(pair.write({ offset: 0, bytes: bytes(1) }))).message).to.match(/^no node serves now\n/u);
  });

  it('once the other has taken over, that one serves, is asked, and says the mode', async () => {
    await pair.until({ mode: 'fallback', serving: 'beta' }, { withinMs: 3 * deadlineMs });
    expect(pair.serving).to.equal('beta');
    await pair.write({ offset: 0, bytes: bytes(1) });
    await pair.resume('alpha');
    await pair.until({ whole: true });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(1));
  });

  it('orders go past a home standby that stands still', async () => {
    await pair.resume('alpha');
    await pair.pause('beta');
    await pair.order('manual');
    expect(pair.node('alpha')!.orchestrator.status().control).to.equal('manual');
    expect(await rejection(pair.order('auto', { node: 'beta' }))).to.include({ code: 'HM_NO_NODE' });
  });
});

describe('SimulatedPair: stop and boot', () => {
  let pair: SimulatedPair;
  beforeEach(async () => (pair = await simulatePair(quick)));

  it('stop waits until the node is down, so that it can be booted', async () => {
    await pair.stop('alpha');
    expect(pair.node('alpha')).to.equal(null);
    await pair.boot('alpha');
    await pair.until({ serving: 'alpha', whole: true }, { withinMs: 5_000 });
  });

  it('stop, then fallback: the other node takes over by order', async () => {
    await pair.stop('alpha');
    await pair.fallback();
    expect(pair.serving).to.equal('beta');
  });

  it('stop of a node that is being stopped waits for the same end', async () => {
    await pair.perform({ do: 'stop', node: 'beta' });
    expect(pair.node('beta')).to.not.equal(null);
    await pair.stop('beta');
    expect(pair.node('beta')).to.equal(null);
  });

  it('stop rejects where a node cannot be stopped: it is down, stands still, or has not started yet', async () => {
    pair = await simulatePair({ ...quick, latencies: { metadataMs: 20 } });
    await pair.crash('beta');
    const down = await rejection(pair.stop('beta'));
    expect([down.code, down.message.split('\n')[0]]).to.deep.equal(['HM_NO_NODE', 'beta is down']);
    await pair.boot('beta');
    expect((await rejection(pair.stop('beta'))).message).to.match(/^beta has not started yet\n/u);
    await pair.pause('alpha');
    expect((await rejection(pair.stop('alpha'))).message).to.match(/^alpha stands still\n/u);
  });

  it('stop says that the node was not down in time', async () => {
    await pair.perform({ do: 'platform', node: 'alpha', step: 'stopServices', outcome: 'hang' });
    const error = await rejection(pair.stop('alpha', { withinMs: 20 }));
    expect([error.code, error.message.split('\n')[0]]).to.deep.equal(['HM_NOT_REACHED', `alpha was not down by ${String(pair.nowMs)} ms`]);
  });

  it('boot rejects where the node is up, starts, or is still being stopped', async () => {
    pair = await simulatePair({ ...quick, latencies: { metadataMs: 20 } });
    const up = await rejection(pair.boot('alpha'));
    expect([up.code, up.message.split('\n')[0]]).to.deep.equal(['HM_NODE_RUNNING', 'alpha is up already: it runs']);
    await pair.crash('beta');
    await pair.boot('beta');
    expect((await rejection(pair.boot('beta'))).message).to.contain('it has not started yet');
    await pair.perform({ do: 'stop', node: 'alpha' });
    expect((await rejection(pair.boot('alpha'))).message).to.contain('it is being stopped');
  });

  it('as steps they do nothing where they do not fit', async () => {
    await pair.perform({ do: 'boot', node: 'alpha' });
    await pair.crash('beta');
    await pair.perform({ do: 'stop', node: 'beta' });
    expect([pair.serving, pair.node('beta')]).to.deep.equal(['alpha', null]);
  });
});

describe('SimulatedPair: requests and orders wait as long as they are told', () => {
  let pair: SimulatedPair;
  beforeEach(async () => (pair = await simulatePair({ ...quick, policy: { whenAlone: 'freeze' } })));

  it('and name who did not answer what', async () => {
    await pair.cut('all');
    const before = pair.nowMs;
    const first = async (promise: Promise<unknown>): Promise<readonly string[]> => {
      const { code, message } = await rejection(promise);
      return [code, message.split('\n')[0]!];
    };
    const by = (afterMs: number): string => `by ${String(before + afterMs)} ms`;
    expect(await first(pair.write({ offset: 1_024, bytes: bytes(1), withinMs: 700 }))).to.deep.equal([
      'HM_NOT_REACHED',
      `alpha did not answer the write of 512 bytes at 1024 to m0 ${by(700)}`,
    ]);
    expect(await first(pair.flush({ node: 'alpha', withinMs: 100 }))).to.deep.equal([
      'HM_NOT_REACHED',
      `alpha did not answer the flush to m0 ${by(800)}`,
    ]);
    expect(await first(pair.order('switchover', { node: 'alpha', withinMs: 10 }))).to.deep.equal([
      'HM_NOT_REACHED',
      `alpha did not answer the order switchover ${by(810)}`,
    ]);
    expect(pair.nowMs - before).to.equal(810);
  });

  it('a node that was named and is down is said to be down', async () => {
    await pair.crash('alpha');
    const { code, message } = await rejection(pair.read({ node: 'alpha', offset: 0, length: 512 }));
    expect([code, message.split('\n')[0]]).to.deep.equal(['HM_NOT_SERVING', 'alpha is down; no node serves']);
  });

  it('where both nodes serve, one must be named', async () => {
    pair = await simulatePair(quick);
    await pair.cut('all');
    await pair.runFor(5 * deadlineMs);
    expect((await rejection(pair.read({ offset: 0, length: 512 }))).message).to.match(/^both nodes serve now\n/u);
    expect(await pair.read({ node: 'beta', offset: 0, length: 512 })).to.deep.equal(bytes(0));
  });
});

describe('SimulatedPair: what may overlap', () => {
  let pair: SimulatedPair;
  beforeEach(async () => (pair = await simulatePair({ ...quick, latencies: { elementMs: 20 } })));

  it('a request is asked by its call, and may be awaited after other calls', async () => {
    const before = pair.nowMs;
    const write = pair.write({ offset: 0, bytes: bytes(1) });
    await new Promise((resolve) => setImmediate(resolve));
    expect(pair.nowMs, 'time waits for an awaited call').to.equal(before);
    await pair.runFor(100);
    expect([pair.acknowledged, pair.nowMs - before]).to.deep.equal([1, 100]);
    await write;
    expect(pair.nowMs - before, 'its answer was there already').to.equal(100);
  });

  it('a crash while a write is under way: what became of it is known when it is awaited', async () => {
    const write = pair.write({ offset: 0, bytes: bytes(1) });
    await pair.runFor(0.5);
    await pair.crash('alpha');
    await pair.until({ serving: 'beta' });
    expect((await rejection(write)).code).to.equal('HM_NODE_DIED');
    expect((await pair.read({ offset: 0, length: 512 }))[0]).to.be.oneOf([0, 1]);
    await pair.settle();
  });

  it('requests that are awaited together take turns, the same way every time', async () => {
    const run = async (): Promise<string> => {
      const fresh = await simulatePair({ ...quick, detail: 'all', latencies: { elementMs: 20 } });
      await Promise.all([1, 2, 3, 4, 5].map((value) => fresh.write({ offset: value * 512, bytes: bytes(value) })));
      expect(fresh.acknowledged).to.equal(5);
      return JSON.stringify(fresh.log);
    };
    expect(await run()).to.equal(await run());
  });

  it('a request that nobody awaits breaks nothing, though it fails', async () => {
    void pair.write({ offset: 1, bytes: bytes(1) });
    await pair.runFor(deadlineMs);
    await pair.settle();
  });
});
