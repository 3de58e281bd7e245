import { expect } from 'chai';

import { NonePlatform } from '../../src/platform/none.ts';
import { platformSteps } from '../../src/platform/platform-actions.ts';

describe('NonePlatform', () => {
  it('lets every step succeed and tells it, and claims no fence', async () => {
    const told: string[] = [];
    const platform = new NonePlatform(({ step }) => told.push(step));
    for (const step of platformSteps) {
      const context = { node: 'alpha', peer: 'beta', step, reason: 'test', epoch: 1, mirrors: [] };
      await platform.actions[step]?.run(context, new AbortController().signal);
    }
    expect(told).to.deep.equal(platformSteps.filter((step) => step !== 'fence'));
    expect(platform.capabilities.fence).to.equal(false);
  });
});
