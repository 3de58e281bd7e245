/**
 * A failover, scripted in virtual time. It is JavaScript too: saved as `failover.test.mjs`, mocha runs it as it is. For `node --test` add
 * `import { describe, it } from 'node:test';`. As `.ts`, compile it first, or use `node --test` of Node 22.18 or newer.
 */
import { expect } from 'chai';
import { simulatePair } from 'hotmirror/testing';

describe('our service', () => {
  it('survives its primary and loses nothing', async () => {
    const pair = await simulatePair();
    const bytes = new TextEncoder().encode('an order'.padEnd(512));
    await pair.write({ offset: 0, bytes });
    await pair.crash('alpha');
    await pair.until({ mode: 'fallback', serving: 'beta' }, { withinMs: 10_000 });
    expect(await pair.read({ offset: 0, length: 512 })).to.deep.equal(bytes);
    await pair.boot('alpha');
    await pair.until({ whole: true });
    await pair.recover();
    await pair.settle();
  });
});
