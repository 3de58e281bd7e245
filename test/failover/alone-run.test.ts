import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { refused } from './support/refused.ts';
import { World } from './support/world.ts';

describe('FailoverOrchestrator', () => {
  let world: World;

  afterEach(() => {
    expect(world.violations).to.deep.equal([]);
  });

  describe('going alone', () => {
    it('outdate: while a monitor link answers the peer durably records that it is old, and then the epoch is raised', async () => {
      world = new World();
      await world.settle();
      world.cutData();
      expect(world.alpha.completes()).to.equal(false);
      await world.until(() => world.alpha.completes(), 5_000, 'alpha alone');
      expect(world.beta.mirror.state().element).to.equal('outdated');
      expect(world.alpha.orchestrator.status()).to.include({ serving: true, epoch: 2 });
      expect(world.alpha.mirror.calls).to.include('goAlone 2 outdate');
      world.mendData();
      await world.until(() => world.calm() && world.beta.orchestrator.status().epoch === 2, 5_000, 'a calm pair');
    });

    it('alone: the mirror is held while the record is raised, and let go after it goes on', async () => {
      world = new World();
      await world.settle();
      world.cutData();
      await world.until(() => world.alpha.mirror.calls.includes('hold'), 5_000, 'the hold');
      const records = world.events('record:written', 'alpha').length;
      // The data link comes back while the record is written: it makes nobody whole in the old epoch.
      world.mendData();
      await world.until(() => world.alpha.mirror.calls.includes('unseal'), 5_000, 'the letting go');
      expect(world.events('record:written', 'alpha')).to.have.length(records + 1);
      const { calls } = world.alpha.mirror;
      expect(calls.slice(calls.indexOf('hold')).filter((call) => call !== 'renewLease')).to.deep.equal([
        'hold',
        'goAlone 2 outdate',
        'unseal',
      ]);
      await world.until(() => world.calm() && world.beta.orchestrator.status().epoch === 2, 5_000, 'a calm pair');
    });

    it('lineage.epoch: an epoch that is heard of during the hold is not overbid: this node yields', async () => {
      world = new World({ policy: { whenAlone: 'freeze' } });
      await world.settle();
      await world.outcome(world.alpha.orchestrator.setControl('manual'));
      world.partition();
      await world.run(3_000);
      world.alpha.mirror.hears.set('hold', { number: 2, owner: 'beta' });
      await world.outcome(world.alpha.orchestrator.resume({ reason: 'beta is dead' }));
      await world.run(1_000);
      expect(world.alpha.mirror.calls).to.include('hold').and.not.include('goAlone 3 alone');
      expect(world.alpha.orchestrator.status()).to.include({ serving: false, epoch: 2 });
    });

    it('alone: whom a mirror meets that could not go alone hears of the epoch that the record holds', async () => {
      world = new World();
      await world.settle();
      world.cutData();
      world.alpha.mirror.failures.set('goAlone', new HotMirrorError('HM_STATE_UNWRITABLE', 'the metadata could not be written'));
      await world.until(() => world.alpha.mirror.calls.includes('unseal'), 5_000, 'the letting go');
      const { calls } = world.alpha.mirror;
      expect(calls.slice(calls.indexOf('hold')).filter((call) => call !== 'renewLease')).to.deep.equal([
        'hold',
        'goAlone 2 outdate',
        'raiseEpoch 2',
        'unseal',
      ]);
    });

    it('alone: the mirror stays held while a crash may bring back a number that nobody heard of', async () => {
      world = new World();
      await world.settle();
      world.alpha.writeFault = () => 'fail';
      world.cutData();
      await world.until(() => world.alpha.mirror.calls.includes('hold'), 5_000, 'the hold');
      await world.run(1_000);
      world.mendData();
      await world.run(3_000);
      expect(world.alpha.mirror.calls).to.not.include('unseal');
      expect(world.alpha.mirror.state().connection).to.equal('connecting');
      world.alpha.writeFault = () => null;
      await world.until(() => world.calm(), 10_000, 'a calm pair');
    });

    it('alone: a data link that is back before the hold ends it, and the epoch stays', async () => {
      world = new World();
      await world.settle();
      world.cutData();
      world.alpha.mirror.failures.set('hold', new HotMirrorError('HM_REFUSED', 'm0 was connected meanwhile', { rule: 'alone' }));
      await world.until(() => world.alpha.mirror.calls.includes('hold'), 5_000, 'the hold');
      world.mendData();
      await world.until(() => world.calm(), 5_000, 'a calm pair');
      expect(world.alpha.orchestrator.status()).to.include({ serving: true, epoch: 1 });
      expect(world.alpha.mirror.calls).to.include('unseal');
    });

    it('outdate first: a takeover that begins later finds the element outdated', async () => {
      world = new World();
      await world.settle();
      world.cutData();
      await world.until(() => world.alpha.completes(), 5_000, 'alpha alone');
      world.crash('alpha');
      await world.run(5_000);
      expect(world.serving).to.deep.equal([]);
      expect(world.beta.orchestrator.status().blockedBy[0]?.rule).to.equal('takeover.uptodate');
    });

    it('intent first: outdating is refused by its rule while a takeover is under way', async () => {
      world = new World({ fence: true });
      await world.settle();
      world.beta.platform.script('fence', 'hang');
      world.crash('alpha');
      await world.until(() => world.beta.platform.steps.includes('fence'), 5_000, 'the fence');
      const { currentId } = world.beta.mirror.state();
      const order = { kind: 'outdate', mirror: 'm0', epoch: { number: 1, owner: 'alpha' }, currentId, connectionId: null, nonce: 'n' };
      expect(refused(await world.outcome(world.beta.orchestrator.answer(order)))).to.equal('HM_REFUSED outdate');
      expect(world.beta.mirror.state().element).to.equal('uptodate');
    });

    it('outdate: one end may know of a connection that the other does not: the peer names its own, and the next order does too', async () => {
      for (const knower of ['alpha', 'beta'] as const) {
        world = new World();
        await world.settle();
        world.cutData();
        world[knower].mirror.missesTheEndOfADial('one that only this end knows');
        await world.until(() => world.alpha.completes(), 5_000, `alpha alone, where only ${knower} knows of it`);
        expect(world.beta.mirror.state().element).to.equal('outdated');
      }
    });

    it('outdate: an order of an older epoch, of another generation or for no mirror changes nothing', async () => {
      world = new World();
      await world.settle();
      await world.outcome(world.alpha.orchestrator.switchover());
      await world.until(() => world.calm(), 5_000, 'a calm pair');
      const { currentId } = world.alpha.mirror.state();
      const order = { kind: 'outdate', mirror: 'm0', epoch: { number: 2, owner: 'beta' }, currentId, connectionId: null, nonce: 'n' };
      const ask = (change: object): Promise<unknown> => world.outcome(world.alpha.orchestrator.answer({ ...order, ...change }));
      expect(refused(await ask({ epoch: { number: 1, owner: 'alpha' } }))).to.equal('HM_STALE_EPOCH ');
      expect(refused(await ask({ currentId: 'other' }))).to.equal('HM_REFUSED outdate');
      expect(refused(await ask({ mirror: 'm9' }))).to.equal('HM_REFUSED outdate');
      expect(refused(await ask({ nonce: 7 }))).to.equal('HM_PROTOCOL ');
      expect(world.alpha.mirror.state().element).to.equal('uptodate');
      world.partition();
      expect(await ask({ connectionId: world.alpha.mirror.state().connectionId })).to.equal(null);
      expect(world.alpha.mirror.state().element).to.equal('outdated');
    });

    it('serve.fresh: with whenAlone continue nothing completes before a full deadline of silence', async () => {
      world = new World();
      await world.settle();
      world.crash('beta');
      const lostMs = world.clock.nowMs();
      await world.until(() => world.alpha.completes(), 5_000, 'alpha alone');
      expect(world.clock.nowMs() - lostMs).to.be.at.least(1_000 - 100);
      expect(world.alpha.orchestrator.status().epoch).to.equal(2);
    });

    it('whenAlone freeze: it parks until an operator resumes', async () => {
      world = new World({ policy: { whenAlone: 'freeze' } });
      await world.settle();
      world.crash('beta');
      await world.run(5_000);
      expect(world.alpha.completes()).to.equal(false);
      expect(world.alpha.orchestrator.status().blockedBy[0]?.rule).to.equal('alone');
      expect(await world.outcome(world.alpha.orchestrator.resume({ reason: 'beta is dead' }))).to.equal(null);
      expect(world.alpha.completes()).to.equal(true);
      expect(await world.outcome(world.alpha.orchestrator.resume({ reason: 'again' }))).to.equal(null);
    });

    it('arbiter.cas: a full partition leaves one owner, whoever asks first, and the other cannot go on', async () => {
      world = new World({ arbiter: true });
      await world.settle();
      world.partition();
      await world.run(10_000);
      expect(world.machines.filter((machine) => machine.completes())).to.have.length(1);
      const granted = await world.arbiter?.current(new AbortController().signal);
      expect(granted?.owner).to.equal(world.machines.find((machine) => machine.completes())?.name);
      world.heal();
      await world.until(() => world.calm(), 20_000, 'a calm pair');
      expect(world.serving).to.deep.equal([granted?.owner]);
    });

    it('arbiter.cas: without the arbiter nobody goes on, and an operator may by naming the rule', async () => {
      world = new World({ arbiter: true });
      await world.settle();
      if (world.arbiter) world.arbiter.reachable = false;
      world.crash('beta');
      await world.run(5_000);
      expect(world.alpha.completes()).to.equal(false);
      expect(world.alpha.orchestrator.status().blockedBy[0]?.rule).to.equal('arbiter.cas');
      expect(refused(await world.outcome(world.alpha.orchestrator.resume({ reason: 'dead' })))).to.equal('HM_REFUSED arbiter.cas');
      const word = world.alpha.orchestrator.resume({ reason: 'beta is dead', overrides: ['takeover.arbiter'] });
      expect(await world.outcome(word)).to.equal(null);
      expect(world.alpha.completes()).to.equal(true);
    });

    it('the target left: its source goes on at once, in a raised epoch', async () => {
      world = new World({ policy: { whenAlone: 'freeze' } });
      await world.settle();
      await world.stop('beta');
      await world.until(() => world.alpha.completes(), 1_000, 'alpha alone');
      expect(world.alpha.orchestrator.status().epoch).to.equal(2);
      expect(world.beta.disks.get('m0')?.element).to.equal('outdated');
    });

    it('raises the epoch once for an absence, not for every lost connection during it', async () => {
      world = new World();
      await world.settle();
      world.cutData();
      await world.until(() => world.alpha.completes(), 5_000, 'alpha alone');
      world.mendData();
      await world.until(() => world.beta.mirror.state().resync !== null, 1_000, 'the resync');
      world.cutData();
      await world.until(() => world.alpha.completes(), 5_000, 'alpha alone');
      expect(world.alpha.orchestrator.status().epoch).to.equal(2);
      world.mendData();
      await world.until(() => world.calm(), 5_000, 'a calm pair');
      world.cutData();
      await world.until(() => world.alpha.completes(), 5_000, 'alpha alone');
      expect(world.alpha.orchestrator.status().epoch).to.equal(3);
    });

    it('one of two data links lost: that mirror goes alone, the other carries the raised epoch and stays connected', async () => {
      world = new World({ mirrors: ['m0', 'm1'] });
      await world.settle();
      world.links.get('m0')?.cut();
      await world.until(() => world.alpha.mirror.completes(), 5_000, 'm0 alone');
      expect(world.alpha.mirrors.map((mirror) => mirror.state().epoch.number)).to.deep.equal([2, 2]);
      expect(world.alpha.mirrors[1]?.state()).to.include({ serving: 'yes', connection: 'connected' });
    });

    it('a record that cannot be written: nothing that depends on it happens, and it is tried again', async () => {
      world = new World();
      await world.settle();
      world.alpha.writeFault = () => 'fail';
      world.cutData();
      await world.run(3_000);
      expect(world.alpha.completes()).to.equal(false);
      expect(world.alpha.mirror.calls.some((call) => call.startsWith('goAlone'))).to.equal(false);
      expect(world.events('record:failed', 'alpha')[0]).to.include({ class: 1 });
      expect(world.events('record:failed', 'alpha')[0]?.error.code).to.equal('HM_STATE_UNWRITABLE');
      world.alpha.writeFault = () => null;
      await world.until(() => world.alpha.completes(), 5_000, 'alpha alone');
    });
  });
});
