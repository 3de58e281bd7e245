import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';

const bytes = (value: number): Uint8Array => new Uint8Array(512).fill(value);

describe('element.off: a whole pair whose operator takes an element out', () => {
  it('goes on at the serving node; the other takes nothing over, and is whole again once it is brought back', async () => {
    const pair = await simulatePair();
    await pair.write({ offset: 0, bytes: bytes(1) });
    const beta = pair.node('beta')!.orchestrator;
    const [mirror] = pair.node('beta')!.mirrors.keys();
    await pair.settled(beta.setElement({ mirror: mirror!, to: 'off' }));
    await pair.until({ serving: 'alpha' }, { withinMs: 5_000 });
    await pair.write({ offset: 0, bytes: bytes(2), withinMs: 5_000 });

    await pair.crash('alpha');
    await pair.runFor(60_000);
    expect(pair.serving, 'beta holds less than was acknowledged').to.equal(null);
    const blocked = await pair.settled(beta.fallback()).catch((error: unknown) => error as HotMirrorError);
    expect(blocked).to.include({ code: 'HM_REFUSED' });

    await pair.boot('alpha');
    await pair.settled(beta.setElement({ mirror: mirror!, to: 'on' }));
    await pair.until({ whole: true }, { withinMs: 60_000 });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes(2));
    await pair.settle();
  });

  it('keeps the element of the node that serves', async () => {
    const pair = await simulatePair();
    const [mirror] = pair.node('alpha')!.mirrors.keys();
    const refusal = pair.settled(pair.node('alpha')!.orchestrator.setElement({ mirror: mirror!, to: 'off' }));
    expect(await refusal.catch((error: unknown) => error)).to.include({ code: 'HM_REFUSED', rule: 'element.off' });
    await pair.write({ offset: 0, bytes: bytes(3), withinMs: 1_000 });
    await pair.settle();
  });

  it('refuses a mirror that there is not', async () => {
    const pair = await simulatePair();
    const unknown = pair.node('beta')!.orchestrator.setElement({ mirror: 'none', to: 'off' });
    expect(await pair.settled(unknown).catch((error: unknown) => error)).to.be.instanceOf(RangeError);
  });
});
