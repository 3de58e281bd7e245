import { expect } from 'chai';

import { watchUncaught } from '../../src/node/simulate/watch-uncaught.ts';
import { fuzzByteStreams } from './byte-stream-fuzz.ts';

const streams = 200;

describe('The transport under fuzzed bytes', () => {
  it('delivers what was sent or ends with a typed error, before and after authentication, plain and sealed (trust)', async () => {
    const uncaught: unknown[] = [];
    const unwatch = watchUncaught((error) => uncaught.push(error));
    const { authenticated, frames } = await fuzzByteStreams(1, streams).finally(unwatch);
    expect(uncaught).to.deep.equal([]);
    // Otherwise too many or too few suffer for this to prove anything.
    expect(authenticated).to.be.within(streams / 2, 2 * streams - 1);
    expect(frames).to.be.above(streams);
  });
});
