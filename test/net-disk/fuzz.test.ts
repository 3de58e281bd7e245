import { expect } from 'chai';

import { fuzzSessions } from './support/fuzz.ts';

describe('A net disk server and hostile clients', function () {
  this.timeout(60_000);

  it('survives what is no session, asks its device for nothing that it does not have, and goes on or hangs up', async () => {
    const { sessions, bytes, hungUp, requests } = await fuzzSessions(1, 3_000);
    console.log(
      `      ${String(sessions)} sessions of ${String(bytes)} bytes, ${String(hungUp)} hung up, ${String(requests)} requests carried out`,
    );
    expect(hungUp).to.be.within(1, sessions - 1);
    expect(requests).to.be.above(sessions);
  });
});
