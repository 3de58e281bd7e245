import { expect } from 'chai';

import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import type { SimulatedPair } from '../../src/testing/simulation/simulated-pair.ts';
import type { NodeName } from '../../src/testing/simulation/steps.ts';

const times = { intervalMs: 200, deadlineMs: 1_000, leaseMs: 750, initialGraceMs: 2_000 };
const sector = 512;
const names = ['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7'];
const mirrors = names.map((name) => ({ name, sizeBytes: 65_536 }));

const bytesOf = (value: number): Uint8Array => new Uint8Array(sector).fill(value);

/** What all mirrors of a node say of one thing, each answer once. */
function said(pair: SimulatedPair, node: NodeName, what: 'role' | 'serving' | 'element'): readonly string[] {
  return [...new Set([...pair.node(node)!.mirrors.values()].map((mirror) => mirror.state()[what]))];
}

async function writeEach(pair: SimulatedPair, value: number): Promise<void> {
  for (const mirror of names) await pair.write({ mirror, offset: 0, bytes: bytesOf(value) });
}

async function readEach(pair: SimulatedPair): Promise<readonly number[]> {
  const values: number[] = [];
  for (const mirror of names) values.push((await pair.read({ mirror, offset: 0, length: sector }))[0]!);
  return values;
}

describe('eight mirrors of one pair', () => {
  it('start together and have one role each side; a takeover, a recovery and a switchover move all of them (takeover.uptodate, handover)', async () => {
    using pair = await simulatePair({ times, mirrors, policy: { whenAlone: 'freeze' } });
    expect(said(pair, 'alpha', 'role')).to.deep.equal(['source']);
    expect(said(pair, 'beta', 'role')).to.deep.equal(['target']);
    await writeEach(pair, 1);
    await pair.crash('alpha');
    await pair.until({ mode: 'fallback', serving: 'beta' }, { withinMs: 10_000 });
    expect(said(pair, 'beta', 'serving')).to.deep.equal(['alone']);
    expect(await readEach(pair)).to.deep.equal(names.map(() => 1));
    await writeEach(pair, 2);
    await pair.boot('alpha');
    await pair.until({ whole: true });
    expect(said(pair, 'beta', 'role')).to.deep.equal(['source']);
    await pair.recover();
    expect(said(pair, 'alpha', 'serving')).to.deep.equal(['yes']);
    expect(said(pair, 'beta', 'serving')).to.deep.equal(['no']);
    await pair.switchover();
    expect(said(pair, 'beta', 'serving')).to.deep.equal(['yes']);
    expect(await readEach(pair)).to.deep.equal(names.map(() => 2));
    await pair.settle();
  });

  it('are taken over together or not at all: one element that is not uptodate bars it, and its name is told (takeover.uptodate)', async () => {
    using pair = await simulatePair({ times, mirrors, policy: { whenAlone: 'freeze' } });
    await writeEach(pair, 1);
    await pair.perform({ do: 'disk', node: 'beta', disk: 'element', mirror: 'm5', fault: { kind: 'write-error', count: 1 } });
    await pair.write({ mirror: 'm5', offset: 0, bytes: bytesOf(2) });
    await pair.until((one) => one.node('beta')!.mirrors.get('m5')!.state().element === 'failed', { withinMs: 10_000 });
    await pair.crash('alpha');
    await pair.runFor(20_000);
    expect(pair.serving).to.equal(null);
    const { blockedBy } = pair.node('beta')!.orchestrator.status();
    const barred = blockedBy.find(({ rule }) => rule === 'takeover.uptodate');
    expect(barred?.because).to.contain('m5').and.not.contain('m4');
    expect(said(pair, 'beta', 'serving')).to.deep.equal(['no']);
    await pair.boot('alpha');
    await pair.runFor(5_000);
    await pair.perform({ do: 'replace', node: 'beta' });
    await pair.until({ whole: true }, { withinMs: 30_000 });
    expect(pair.serving).to.equal('alpha');
    expect((await readEach(pair))[5]).to.equal(2);
  });

  it('go alone each for itself: one data link that is cut degrades one mirror and moves nothing (watch.all, alone)', async () => {
    using pair = await simulatePair({ times, mirrors });
    await pair.cut('data:m3');
    await writeEach(pair, 3);
    expect(pair.serving).to.equal('alpha');
    const serving = [...pair.node('alpha')!.mirrors].map(([name, mirror]) => [name, mirror.state().serving]);
    expect(serving).to.deep.equal(names.map((name) => [name, name === 'm3' ? 'alone' : 'yes']));
    await pair.heal('data:m3');
    await pair.settle();
  });

  it('keep their promises through a storm of faults, with an application on each', async () => {
    using pair = await simulatePair({ seed: 11, times, mirrors, workload: {}, policy: { whenAlone: 'freeze' } });
    for (const node of ['alpha', 'beta'] as const) {
      await pair.runFor(2_000);
      await pair.crash(node);
      await pair.runFor(8_000);
      await pair.boot(node);
      await pair.runFor(3_000);
      await pair.perform({ do: 'break', link: 'data:m1' });
    }
    await pair.settle();
    const roles = [said(pair, 'alpha', 'role'), said(pair, 'beta', 'role')];
    expect(roles.map((all) => all.length)).to.deep.equal([1, 1]);
  });
});
