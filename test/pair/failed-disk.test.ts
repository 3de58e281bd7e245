import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import type { MirrorState } from '../../src/mirror/state.ts';
import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import type { SimulatedPair } from '../../src/testing/simulation/simulated-pair.ts';
import { otherNode } from '../../src/testing/simulation/steps.ts';
import type { NodeName } from '../../src/testing/simulation/steps.ts';

const bytes = (value: number): Uint8Array => new Uint8Array(512).fill(value);
const kinds = ['write-error', 'flush-error'] as const;

/** What the remedies of HM_IO_WRITE and HM_IO_FLUSH say, word by word. */
describe('a failed disk of the serving node (write.error)', () => {
  for (const kind of kinds)
    for (const serving of ['alpha', 'beta'] as const)
      it(`${kind} at ${serving}: the service goes on through the other node, a switchover moves it there, and a new disk is filled`, async () => {
        const pair = await simulatePair();
        const other = otherNode(serving);
        if (serving === 'beta') await pair.fallback();
        await pair.write({ offset: 0, bytes: bytes(1) });
        await pair.perform({ do: 'disk', node: serving, disk: 'element', fault: { kind, count: 1 } });
        if (kind === 'write-error') await pair.write({ offset: 512, bytes: bytes(2) });
        else await pair.flush();
        await pair.write({ offset: 1_024, bytes: bytes(3) });
        expect(pair.serving).to.equal(serving);
        await pair.runFor(60_000);
        expect(pair.serving, 'it stays there until an operator moves it').to.equal(serving);
        expect(pair.log.filter(({ event }) => event === 'element:failed').map(({ class: eventClass }) => eventClass)).to.deep.equal([1]);

        await pair.settled(pair.node(serving)!.orchestrator.switchover());
        await pair.until({ serving: other }, { withinMs: 10_000 });
        await pair.write({ offset: 512, bytes: bytes(4), withinMs: 10_000 });
        await pair.perform({ do: 'replace', node: serving });
        await pair.until({ whole: true }, { withinMs: 60_000 });
        for (const [offset, value] of [
          [0, 1],
          [512, 4],
          [1_024, 3],
        ] as const)
          expect(await pair.read({ offset, length: 512 })).to.deep.equal(bytes(value));
        await pair.settle();
      });

  for (const kind of kinds)
    it(`${kind} and then the death of its node: the other one, which holds everything, takes over by itself (takeover.uptodate)`, async () => {
      const pair = await simulatePair();
      await pair.perform({ do: 'disk', node: 'alpha', disk: 'element', fault: { kind, count: 1 } });
      await pair.write({ offset: 0, bytes: bytes(1), fua: true });
      await pair.crash('alpha');
      await pair.until({ serving: 'beta' }, { withinMs: 60_000 });
      expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(1));
      await pair.settle();
    });

  it('flush-error while the service is handed over: it is given up, goes on where it is, and is handed over by the next order (handover)', async () => {
    const pair = await simulatePair();
    await pair.write({ offset: 0, bytes: bytes(1) });
    await pair.runFor(3_000);
    await pair.perform({ do: 'disk', node: 'alpha', disk: 'element', fault: { kind: 'flush-error', count: 1 } });
    const { orchestrator } = pair.node('alpha')!;
    const switchover = (): Promise<string> =>
      pair.settled(
        orchestrator.switchover().then(
          () => 'moved',
          (error: unknown) => (error as HotMirrorError).code,
        ),
      );
    expect(await switchover()).to.equal('HM_REFUSED');
    await pair.runFor(60_000);
    expect([pair.serving, orchestrator.status().service]).to.deep.equal(['alpha', 'running']);
    const { element, serving, connection } = pair.node('alpha')!.mirrors.get('m0')!.state();
    expect([element, serving, connection]).to.deep.equal(['failed', 'yes', 'connected']);
    expect(pair.log.filter(({ event, text }) => event === 'order:failed' && text.includes('promotion'))).to.deep.equal([]);
    await pair.write({ offset: 0, bytes: bytes(2), withinMs: 1_000 });
    expect(await switchover()).to.equal('moved');
    await pair.until({ serving: 'beta' }, { withinMs: 10_000 });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(2));
  });
});

/** What the remedy of HM_STATE_UNWRITABLE is for: a node of which nothing is known to be durable. */
describe('failing metadata of the target (alone)', () => {
  for (const [what, disturb] of [
    ['the data link breaks for a moment', (pair: SimulatedPair) => pair.perform({ do: 'break', link: 'data' })],
    ['its element is ordered out', (pair: SimulatedPair) => pair.perform({ do: 'operator', node: 'beta', order: 'element-off' })],
  ] as const)
    it(`${what}: the source waits for it, and it does not take over by itself: what it holds may be old (takeover.uptodate)`, async () => {
      const pair = await simulatePair();
      await pair.write({ offset: 0, bytes: bytes(1) });
      await pair.runFor(3_000);
      await pair.perform({ do: 'disk', node: 'beta', disk: 'metadata', fault: { kind: 'write-error', count: 1_000 } });
      await disturb(pair);
      await pair.runFor(10_000);
      const state = (node: NodeName): MirrorState => pair.node(node)!.mirrors.get('m0')!.state();
      expect(state('alpha')).to.include({ serving: 'parked', peerBehind: false });
      expect(state('beta').element).to.equal('consistent');
      await pair.crash('alpha', { how: 'power' });
      await pair.perform({ do: 'mend', node: 'beta', disk: 'metadata' });
      await pair.runFor(30_000);
      expect(pair.serving).to.equal(null);
      await pair.boot('alpha');
      await pair.until({ whole: true }, { withinMs: 60_000 });
      expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(1));
    });
});
