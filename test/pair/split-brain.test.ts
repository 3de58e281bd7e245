import { expect } from 'chai';

import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import type { SimulatedPair } from '../../src/testing/simulation/simulated-pair.ts';
import { nodeNames } from '../../src/testing/simulation/steps.ts';
import type { NodeName } from '../../src/testing/simulation/steps.ts';

const block = 4_096;
const mirror = 'm0';

/** What this node's application writes, whoever else serves. */
async function writeOn(pair: SimulatedPair, node: NodeName, offsetBytes: number, value: number): Promise<void> {
  let outcome: string | null = null;
  const bytes = new Uint8Array(block).fill(value);
  pair
    .node(node)!
    .mirrors.get(mirror)!
    .write(offsetBytes, bytes, {}, (error) => (outcome = error?.code ?? 'done'));
  await pair.until(() => outcome !== null, { withinMs: 60_000 });
  expect(outcome).to.equal('done');
}

const serves = (pair: SimulatedPair, node: NodeName): boolean => pair.node(node)?.orchestrator.status().serving === true;

/** Both nodes went on alone, wrote one block that the other wrote too and one of their own, and hear each other again. */
async function split(seed: number): Promise<SimulatedPair> {
  const pair = await simulatePair({ seed, workload: null, policy: { whenAlone: 'continue' } });
  await pair.until({ whole: true, serving: 'alpha' });
  await pair.cut('all');
  await pair.until(() => nodeNames.every((node) => serves(pair, node)), { withinMs: 60_000 });
  await writeOn(pair, 'alpha', 0, 1);
  await writeOn(pair, 'alpha', 4 * block, 1);
  await writeOn(pair, 'beta', 0, 2);
  await writeOn(pair, 'beta', 8 * block, 2);
  await pair.heal();
  await pair.until(() => nodeNames.every((node) => !serves(pair, node) && pair.node(node)?.mirrors.get(mirror)?.state().split !== null), {
    withinMs: 60_000,
  });
  return pair;
}

const conflicts = (pair: SimulatedPair, node: NodeName): boolean =>
  pair.node(node)?.orchestrator.status().blockedBy[0]?.rule === 'boot.conflict';

/** Serving, with an element on each node that holds the same. */
const mirrored = (pair: SimulatedPair, node: NodeName): boolean => {
  const { serving, connection, peerElement } = pair.node(node)!.mirrors.get(mirror)!.state();
  return serves(pair, node) && serving === 'yes' && connection === 'connected' && peerElement === 'uptodate';
};

/** Alpha wrote alone and died; beta was told to serve and wrote nothing; both begin to hear each other again. */
async function splitRecords(pair: SimulatedPair, beforeTheyMeet?: () => Promise<void>): Promise<void> {
  await pair.until({ whole: true, serving: 'alpha' });
  await pair.crash('beta');
  await pair.until(() => pair.node('alpha')?.mirrors.get(mirror)?.state().serving === 'yes', { withinMs: 60_000 });
  await writeOn(pair, 'alpha', 0, 1);
  await pair.crash('alpha');
  await pair.boot('beta');
  await pair.settled(pair.node('beta')!.orchestrator.fallback({ force: true, reason: 'the test' }));
  await beforeTheyMeet?.();
  await pair.boot('alpha');
}

async function recordsSplit(seed: number): Promise<SimulatedPair> {
  const pair = await simulatePair({ seed, workload: null, policy: { whenAlone: 'continue' } });
  await splitRecords(pair);
  return pair;
}

describe('a split brain in a whole pair (boot.conflict, lineage.split, lineage.resolve)', () => {
  for (const survivor of nodeNames)
    it(`neither serves, an operator lets ${survivor} survive by a word on each node, and the pair is whole with what ${survivor} wrote`, async () => {
      using pair = await split(7);
      for (const node of nodeNames) await pair.settled(pair.node(node)!.orchestrator.resolve({ survivor }));
      await pair.until({ whole: true }, { withinMs: 120_000 });
      const value = survivor === 'alpha' ? 1 : 2;
      for (const [offset, expected] of [
        [0, value],
        [4 * block, survivor === 'alpha' ? 1 : 0],
        [8 * block, survivor === 'alpha' ? 0 : 2],
      ] as const) {
        const bytes = await pair.read({ mirror, offset, length: block });
        expect([...new Set(bytes)], `at ${String(offset)}`).to.deep.equal([expected]);
      }
    });

  for (const survivor of nodeNames)
    it(`of the records alone, over elements that are the same, ends by one word for ${survivor}, and the service can move again`, async () => {
      using pair = await recordsSplit(8);
      await pair.until(() => nodeNames.every((node) => conflicts(pair, node)), { withinMs: 60_000 });
      await pair.settled(pair.node('alpha')!.orchestrator.resolve({ survivor, mirror }));
      await pair.until(() => nodeNames.some((node) => mirrored(pair, node)), { withinMs: 120_000 });
      // A hand-over goes by what the other node has told since.
      await pair.runFor(5_000);
      const owner = nodeNames.find((node) => serves(pair, node))!;
      await pair.settled(pair.node(owner)!.orchestrator.switchover());
      expect(serves(pair, owner)).to.equal(false);
      expect([...new Set(await pair.read({ mirror, offset: 0, length: block }))]).to.deep.equal([1]);
    });

  it('ends by a word that comes while it is being recorded, and stays ended', async () => {
    for (const asked of nodeNames) {
      for (let afterMs = 0; afterMs < 30; afterMs += 1) {
        using pair = await recordsSplit(8);
        await pair.runFor(afterMs);
        await pair.settled(pair.node(asked)!.orchestrator.resolve({ survivor: 'beta' }));
        const { epoch } = pair.node('beta')!.orchestrator.status();
        await pair.runFor(20_000);
        // A word that came before the split was known has ended nothing, and one that came later all of it.
        const ended = nodeNames.map((node) => !conflicts(pair, node));
        expect(ended, `${asked}, after ${String(afterMs)} ms`).to.deep.equal(epoch > 2 ? [true, true] : [false, false]);
      }
    }
  });

  it('is recorded, and ends by a word, where the data link alone shows it: no monitor link is up', async () => {
    using pair = await simulatePair({ seed: 8, workload: null, policy: { whenAlone: 'continue' } });
    await splitRecords(pair, async () => {
      for (const link of ['mon1', 'mon2']) await pair.cut(link);
    });
    await pair.until(() => nodeNames.every((node) => conflicts(pair, node) && !serves(pair, node)), { withinMs: 60_000 });
    await pair.settled(pair.node('alpha')!.orchestrator.resolve({ survivor: 'alpha', mirror }));
    await pair.until(() => nodeNames.every((node) => !conflicts(pair, node)), { withinMs: 60_000 });
    await pair.heal();
    await pair.until(() => nodeNames.some((node) => mirrored(pair, node)), { withinMs: 120_000 });
  });
});
