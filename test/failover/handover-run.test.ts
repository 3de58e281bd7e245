import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { refused } from './support/refused.ts';
import { World } from './support/world.ts';

describe('FailoverOrchestrator', () => {
  let world: World;

  afterEach(() => {
    expect(world.violations).to.deep.equal([]);
  });

  describe('handing over', () => {
    for (const from of ['alpha', 'beta'] as const) {
      it(`handover: a fallback asked of ${from} moves the service in order and measures the time without owner`, async () => {
        world = new World({ arbiter: true });
        await world.settle();
        expect(await world.outcome(world.machine(from).orchestrator.fallback())).to.equal(null);
        expect(world.serving).to.deep.equal(['beta']);
        expect(world.alpha.platform.steps.slice(-4)).to.deep.equal(['stopServices', 'disableLogins', 'unmount', 'detach']);
        expect(world.beta.platform.steps.slice(0, 7)).to.deep.equal([
          'notify',
          'attach',
          'fsck',
          'mount',
          'startServices',
          'enableLogins',
          'notify',
        ]);
        await world.until(() => world.events('handover:finished', 'alpha').length > 0, 2_000, 'the measurement');
        expect(world.events('handover:finished', 'alpha')[0]).to.include({ outcome: 'given' });
        expect(world.events('handover:finished', 'alpha')[0]?.withoutOwnerMs).to.be.within(1, 500);
        expect(await world.arbiter?.current(new AbortController().signal)).to.deep.equal({ number: 2, owner: 'beta' });
        expect(world.beta.disks.get('m0')?.acknowledged).to.equal(world.alpha.disks.get('m0')?.acknowledged);
        expect(await world.outcome(world.machine(from).orchestrator.fallback())).to.equal(null);
        expect(world.beta.orchestrator.status().epoch).to.equal(2);
      });

      it(`recover.ready: a recovery asked of ${from} waits for the regeneration, shows it, and brings the service home`, async () => {
        world = new World();
        await world.settle();
        world.crash('alpha');
        await world.until(() => world.beta.orchestrator.status().service === 'running', 10_000, 'the takeover');
        world.start('alpha');
        await world.until(
          () => world.alpha.mirror.state().resync !== null && !world.alpha.orchestrator.status().booting,
          5_000,
          'the resync',
        );
        await world.run(110);
        expect(await world.outcome(world.machine(from).orchestrator.recover())).to.equal(null);
        expect(world.events('recover:progressed', 'beta')).to.not.deep.equal([]);
        expect(world.alpha.orchestrator.status()).to.include({ serving: true, mode: 'normal', epoch: 3, service: 'running' });
        await world.until(() => world.calm(), 5_000, 'a calm pair');
      });
    }

    it('recover.ready: refused while the home primary is unreachable, and when its data is of another lineage', async () => {
      world = new World();
      await world.settle();
      world.crash('alpha');
      await world.until(() => world.beta.orchestrator.status().service === 'running', 10_000, 'the takeover');
      expect(refused(await world.outcome(world.beta.orchestrator.recover()))).to.equal('HM_REFUSED recover.ready');
      Object.assign(world.alpha.disks.get('m0') ?? {}, { currentId: 'strange' });
      world.start('alpha');
      await world.until(() => world.beta.mirror.state().connection === 'split-brain', 5_000, 'the split brain');
      expect(refused(await world.outcome(world.beta.orchestrator.recover()))).to.equal('HM_REFUSED recover.ready');
      expect(world.serving).to.deep.equal(['beta']);
      expect(world.beta.orchestrator.status().service).to.equal('running');
    });

    it('a wait that is given up rejects with HM_ABORTED: before the service is stopped nothing changes, afterwards the move goes on', async () => {
      world = new World();
      await world.settle();
      const given = new AbortController();
      given.abort();
      expect(refused(await world.outcome(world.alpha.orchestrator.fallback({ signal: given.signal })))).to.equal('HM_ABORTED ');
      await world.run(1_000);
      expect(world.serving).to.deep.equal(['alpha']);
      const later = new AbortController();
      const wait = world.alpha.orchestrator.fallback({ signal: later.signal });
      await world.until(() => world.alpha.platform.steps.includes('stopServices'), 1_000, 'the stop');
      later.abort();
      expect(refused(await world.outcome(wait))).to.equal('HM_ABORTED ');
      await world.until(() => world.serving.join() === 'beta' && world.calm(), 5_000, 'beta serving');
    });

    it('switchover goes either way, and there and back leaves the pair as it was', async () => {
      world = new World();
      await world.settle();
      for (const owner of ['beta', 'alpha', 'beta'] as const) {
        expect(await world.outcome(world.alpha.orchestrator.switchover())).to.equal(null);
        await world.until(() => world.serving.join() === owner && world.calm(), 5_000, `${owner} serving`);
      }
      expect(world.alpha.orchestrator.status().epoch).to.equal(4);
    });

    it('a stop step that fails for good: the service comes up again where it was', async () => {
      world = new World();
      await world.settle();
      world.alpha.platform.script('unmount', 'fail', 'fail', 'fail');
      const error = await world.outcome(world.alpha.orchestrator.fallback());
      expect((error as HotMirrorError).code).to.equal('HM_STEP_FAILED');
      await world.until(() => world.alpha.orchestrator.status().service === 'running', 10_000, 'the service');
      expect(world.serving).to.deep.equal(['alpha']);
      // The file system stayed mounted, so it is not checked again.
      expect(world.alpha.platform.steps.slice(-4)).to.deep.equal(['notify', 'startServices', 'enableLogins', 'notify']);
    });

    it('elements that do not hold everything: the giver serves on', async () => {
      world = new World();
      await world.settle();
      const fallback = world.alpha.orchestrator.fallback();
      await world.until(() => world.alpha.platform.steps.includes('detach'), 5_000, 'the stop');
      world.cutData();
      expect(refused(await world.outcome(fallback))).to.equal('HM_REFUSED handover');
      await world.until(() => world.alpha.orchestrator.status().service === 'running', 10_000, 'the service');
      expect(world.serving).to.deep.equal(['alpha']);
    });

    it('an answer that got lost: the offer is sent again and accepted once', async () => {
      world = new World();
      await world.settle();
      world.network.loseAnswers.push('handover', 'handover');
      expect(await world.outcome(world.alpha.orchestrator.fallback())).to.equal(null);
      expect(world.beta.orchestrator.status()).to.include({ serving: true, epoch: 2 });
    });

    it('a taker that cannot take: only its durable refusal gives the service back, in an epoch above', async () => {
      world = new World();
      await world.settle();
      world.alpha.writeFault = (record) => {
        // Between the end of serving and the offer the taker's element fails.
        if (record.released) Object.assign(world.beta.disks.get('m0') ?? {}, { element: 'failed' });
        return null;
      };
      const error = await world.outcome(world.alpha.orchestrator.fallback());
      expect(refused(error)).to.equal('HM_REFUSED handover');
      expect(world.beta.orchestrator.snapshot().record.refused).to.equal(2);
      expect(world.events('handover:finished', 'alpha')[0]).to.include({ outcome: 'refused' });
      await world.until(() => world.serving.join() === 'alpha', 5_000, 'alpha serving again');
      expect(world.alpha.orchestrator.status().epoch).to.equal(3);
    });

    it('only one move at a time: the same wish joins, another is refused', async () => {
      world = new World();
      await world.settle();
      const first = world.alpha.orchestrator.fallback();
      const same = world.alpha.orchestrator.switchover();
      const other = world.alpha.orchestrator.recover();
      expect(refused(await world.outcome(other))).to.equal('HM_REFUSED handover');
      expect(await world.outcome(Promise.all([first, same]))).to.equal(null);
      expect(world.beta.orchestrator.status().epoch).to.equal(2);
    });

    it('a refusal of the reachable peer stands, even under force', async () => {
      world = new World();
      await world.settle();
      world.cutData();
      await world.until(() => world.alpha.completes(), 5_000, 'alpha alone');
      expect(refused(await world.outcome(world.beta.orchestrator.fallback({ force: true })))).to.equal('HM_REFUSED handover');
      expect(world.serving).to.deep.equal(['alpha']);
    });

    it('adopt: the serving node becomes the home primary on both nodes, asked of either', async () => {
      world = new World();
      await world.settle();
      await world.outcome(world.alpha.orchestrator.fallback());
      expect(await world.outcome(world.alpha.orchestrator.adopt())).to.equal(null);
      await world.until(() => world.machines.every((machine) => machine.orchestrator.status().mode === 'normal'), 2_000, 'normal mode');
      expect(world.alpha.orchestrator.status()).to.include({ home: 'standby', epoch: 2 });
      expect(await world.outcome(world.beta.orchestrator.recover())).to.equal(null);
      expect(world.serving).to.deep.equal(['beta']);
    });

    it('plan shows the steps and what blocks them from either node, and changes nothing', async () => {
      world = new World();
      await world.settle();
      const writes = world.alpha.writes;
      for (const machine of world.machines) {
        expect(machine.orchestrator.plan('recover')).to.deep.equal({ way: 'none', steps: [], blockedBy: [] });
        const plan = machine.orchestrator.plan('fallback');
        expect(plan.way).to.equal('handover');
        expect(plan.blockedBy).to.deep.equal([]);
        expect(plan.steps.map(({ node, step }) => `${node} ${step}`)).to.include.members(['alpha demote', 'beta promote']);
      }
      world.cutData();
      await world.run(1_000);
      for (const machine of world.machines) expect(machine.orchestrator.plan('fallback').blockedBy[0]?.rule).to.equal('handover');
      world.crash('alpha');
      await world.run(3_000);
      expect(world.beta.orchestrator.plan('fallback')).to.deep.include({ way: 'takeover' });
      expect(world.beta.orchestrator.plan('fallback').blockedBy.map(({ rule }) => rule)).to.deep.equal(['takeover.uptodate']);
      expect(world.alpha.writes).to.be.at.most(writes + 1);
    });
  });
});
