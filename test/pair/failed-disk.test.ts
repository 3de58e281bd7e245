import { expect } from 'chai';

import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import { otherNode } from '../../src/testing/simulation/steps.ts';

const bytes = (value: number): Uint8Array => new Uint8Array(512).fill(value);
const codes = { 'write-error': 'HM_IO_WRITE', 'flush-error': 'HM_IO_FLUSH' } as const;

/** What the remedies of HM_IO_WRITE and HM_IO_FLUSH say, word by word. */
describe('a failed disk of the serving node: stop that node, force the other, replace the disk', () => {
  for (const kind of ['write-error', 'flush-error'] as const)
    for (const serving of ['alpha', 'beta'] as const)
      it(`${kind} at ${serving}: the service ends with ${codes[kind]}, and the other node goes on with all that was acknowledged`, async () => {
        const pair = await simulatePair();
        if (serving === 'beta') await pair.fallback();
        await pair.write({ offset: 0, bytes: bytes(1) });
        await pair.perform({ do: 'disk', node: serving, disk: 'element', fault: { kind, count: 1 } });
        const failing = kind === 'write-error' ? pair.write({ offset: 512, bytes: bytes(2) }) : pair.flush();
        expect(await failing.catch((error: unknown) => error)).to.include({ code: codes[kind] });
        await pair.runFor(60_000);
        expect(pair.serving, 'nothing takes over by itself').to.equal(null);

        await pair.stop(serving);
        const other = otherNode(serving);
        const { orchestrator } = pair.node(other)!;
        const unforced = serving === 'alpha' ? orchestrator.fallback() : orchestrator.recover();
        expect(await pair.settled(unforced).catch((error: unknown) => error)).to.include({ code: 'HM_REFUSED' });
        await pair.settled(serving === 'alpha' ? orchestrator.fallback({ force: true }) : orchestrator.recover({ force: true }));
        await pair.until({ serving: other }, { withinMs: 1_000 });
        expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(1));
        await pair.settle();
      });
});
