import { expect } from 'chai';

import { nonePlatform } from '../../src/platform/none.ts';
import { platformSteps } from '../../src/platform/platform-actions.ts';

describe('nonePlatform', () => {
  it('lets every step succeed and tells it, and claims no fence', async () => {
    const told: string[] = [];
    const platform = nonePlatform((text) => told.push(text));
    for (const step of platformSteps) {
      const context = { node: 'alpha', peer: 'beta', step, reason: 'test', epoch: 1, mirrors: [] };
      await platform.actions[step]?.run(context, new AbortController().signal);
    }
    expect(told.map((text) => text.split(':')[0])).to.deep.equal(platformSteps.filter((step) => step !== 'fence'));
    expect(platform.capabilities.fence).to.equal(false);
  });
});
