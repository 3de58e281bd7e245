import { expect } from 'chai';

import { simulatePair } from '../../../src/testing/simulation/simulated-pair.ts';
import type { SimulatedPair } from '../../../src/testing/simulation/simulated-pair.ts';
import type { PairSimulationOptions } from '../../../src/testing/simulation/options.ts';
import type { NodeName } from '../../../src/testing/simulation/steps.ts';

const deadlineMs = 1_000;
const quick = { times: { deadlineMs } } satisfies PairSimulationOptions;
const metadataCopyBytes = 16_384;
const bytes = (value: number): Uint8Array => new Uint8Array(512).fill(value);

const happened = (pair: SimulatedPair, event: string, node: NodeName): number =>
  pair.log.filter((entry) => entry.event === event && entry.node === node).length;

async function unreadable(pair: SimulatedPair, node: NodeName, lengthBytes: number): Promise<void> {
  await pair.perform({ do: 'disk', node, disk: 'metadata', fault: { kind: 'unreadable', offsetBytes: 0, lengthBytes } });
}

async function restart(pair: SimulatedPair, node: NodeName): Promise<void> {
  await pair.perform({ do: 'crash', node, how: 'process' });
  await pair.perform({ do: 'boot', node });
  await pair.runFor(deadlineMs);
}

/** Alpha completed a write without beta, which is down. */
async function leaveAlphaAlone(pair: SimulatedPair): Promise<void> {
  await pair.perform({ do: 'crash', node: 'beta', how: 'process' });
  await pair.write({ offset: 0, bytes: bytes(7) });
}

describe('a simulated disk that fails', () => {
  it('stays so while the other node holds the same, though that is down: its metadata cannot be read at the next start', async () => {
    const pair = await simulatePair({ ...quick, policy: { whenAlone: 'freeze' } });
    await pair.write({ offset: 0, bytes: bytes(7) });
    await pair.perform({ do: 'crash', node: 'beta', how: 'process' });
    await unreadable(pair, 'alpha', 2 * metadataCopyBytes);
    await restart(pair, 'alpha');
    expect(happened(pair, 'node:failed', 'alpha')).to.equal(1);
    // An operator has beta take over, and gives alpha new disks.
    await pair.settle();
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(7));
  });

  it('works again once its node holds the only good copy of anything', async () => {
    const pair = await simulatePair(quick);
    await unreadable(pair, 'alpha', 2 * metadataCopyBytes);
    await leaveAlphaAlone(pair);
    await restart(pair, 'alpha');
    expect([happened(pair, 'node:failed', 'alpha'), happened(pair, 'metadata:repaired', 'alpha')]).to.deep.equal([0, 0]);
  });

  it('does not begin to fail there either, but one copy of the metadata may: the other one tells of the write', async () => {
    const pair = await simulatePair(quick);
    await leaveAlphaAlone(pair);
    await pair.perform({ do: 'disk', node: 'alpha', disk: 'element', fault: { kind: 'full' } });
    await pair.write({ offset: 512, bytes: bytes(8) });
    await unreadable(pair, 'alpha', 512);
    await restart(pair, 'alpha');
    expect([happened(pair, 'node:failed', 'alpha'), happened(pair, 'metadata:repaired', 'alpha')]).to.deep.equal([0, 1]);
    await pair.perform({ do: 'boot', node: 'beta' });
    await pair.until({ whole: true });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(7));
  });

  it('is spared where the node that lost power is the only other one', async () => {
    const pair = await simulatePair({ ...quick, powerCuts: true, policy: { whenAlone: 'freeze' } });
    await pair.perform({ do: 'crash', node: 'beta', how: 'power' });
    await unreadable(pair, 'alpha', 2 * metadataCopyBytes);
    await restart(pair, 'alpha');
    expect(happened(pair, 'node:failed', 'alpha')).to.equal(0);
  });
});

describe('a simulated node that gets new disks', () => {
  it('replace: starts blank and is filled from the node that serves', async () => {
    const pair = await simulatePair(quick);
    await pair.write({ offset: 0, bytes: bytes(7) });
    await pair.perform({ do: 'replace', node: 'beta' });
    await pair.until({ whole: true });
    expect(happened(pair, 'disks:replaced', 'beta')).to.equal(1);
    expect(pair.log.some(({ event, rule }) => event === 'lineage:decided' && rule === 'lineage.fill')).to.equal(true);
    await pair.perform({ do: 'crash', node: 'alpha', how: 'process' });
    await pair.until({ serving: 'beta' });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(7));
  });

  it('replace: a full copy that is interrupted goes on', async () => {
    const pair = await simulatePair({ ...quick, mirrors: [{ name: 'm0', sizeBytes: 9_437_184 }], links: { delayMs: 20 } });
    await pair.perform({ do: 'replace', node: 'beta' });
    await pair.until((waiting) => waiting.log.some(({ event, node }) => event === 'resync:started' && node === 'alpha'));
    await pair.perform({ do: 'break', link: 'data' });
    await pair.until({ whole: true });
    const rules = pair.log.filter(({ event, node }) => event === 'lineage:decided' && node === 'alpha').map(({ rule }) => rule);
    expect(rules.slice(-2)).to.deep.equal(['lineage.fill', 'resync.progress']);
  });

  it('replace: nothing happens to the owner of the service', async () => {
    const pair = await simulatePair(quick);
    await pair.perform({ do: 'replace', node: 'alpha' });
    expect([happened(pair, 'disks:replaced', 'alpha'), pair.serving]).to.deep.equal([0, 'alpha']);
  });

  it('replace: nothing happens while the disks of the other node fail', async () => {
    const pair = await simulatePair(quick);
    await pair.perform({ do: 'disk', node: 'alpha', disk: 'element', fault: { kind: 'flush-error', count: 1 } });
    await pair.perform({ do: 'replace', node: 'beta' });
    expect(happened(pair, 'disks:replaced', 'beta')).to.equal(0);
  });

  it('replace: nothing happens to the only good copy, though the other node does not know of it', async () => {
    const pair = await simulatePair(quick);
    await pair.perform({ do: 'crash', node: 'alpha', how: 'process' });
    await pair.until({ serving: 'beta' });
    await pair.write({ offset: 0, bytes: bytes(9) });
    await pair.perform({ do: 'crash', node: 'beta', how: 'process' });
    await pair.perform({ do: 'boot', node: 'alpha' });
    await pair.perform({ do: 'replace', node: 'beta' });
    expect(happened(pair, 'disks:replaced', 'beta')).to.equal(0);
    await pair.perform({ do: 'boot', node: 'beta' });
    await pair.until({ whole: true });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(9));
  });
});
