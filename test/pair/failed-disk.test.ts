import { expect } from 'chai';

import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import { otherNode } from '../../src/testing/simulation/steps.ts';

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
});
