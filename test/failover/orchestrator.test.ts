import { expect } from 'chai';

import { World } from './support/world.ts';

describe('FailoverOrchestrator', () => {
  let world: World;

  afterEach(() => {
    expect(world.violations).to.deep.equal([]);
  });

  describe('booting', () => {
    it('boot.norecord: at the very first start the home primary serves as soon as both see each other and its mirrors are uptodate', async () => {
      world = new World();
      await world.settle();
      expect(world.alpha.orchestrator.status()).to.include({ mode: 'normal', serving: true, epoch: 1, owner: 'alpha' });
      expect(world.beta.orchestrator.status()).to.include({ mode: 'normal', serving: false, epoch: 1, home: 'standby' });
    });
  });
});
