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
});
