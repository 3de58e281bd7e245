import { expect } from 'chai';

import { OperatorArbiter } from '../../src/arbiter/operator.ts';
import { HotMirrorError } from '../../src/errors.ts';
import type { Json } from '../../src/failover/ports.ts';
import { refused } from './support/refused.ts';
import { World } from './support/world.ts';

describe('FailoverOrchestrator', () => {
  let world: World;

  afterEach(() => {
    expect(world.violations).to.deep.equal([]);
  });

  describe('taking over', () => {
    it('takeover.commit: intent, seal, commit, promote, then the steps, each durable before the next', async () => {
      world = new World({ fence: true });
      await world.settle();
      const before = world.seen.length;
      const { acknowledged } = world.alpha.disks.get('m0') ?? { acknowledged: -1 };
      world.crash('alpha');
      await world.until(() => world.beta.orchestrator.status().service === 'running', 10_000, 'the service on beta');
      const whys = world.seen.slice(before).flatMap(({ payload }) => ('why' in payload ? [payload.why] : []));
      expect(whys.slice(0, 2)).to.deep.equal(['takeover intent', 'takeover commit']);
      expect(world.beta.mirror.calls.filter((call) => call !== 'renewLease').slice(-2)).to.deep.equal(['seal', 'promote 2']);
      expect(world.beta.platform.steps).to.deep.equal([
        'fence',
        'notify',
        'attach',
        'fsck',
        'mount',
        'startServices',
        'enableLogins',
        'notify',
      ]);
      expect(world.beta.disks.get('m0')?.acknowledged).to.be.greaterThan(acknowledged);
      expect(world.events('mode:changed', 'beta')[0]).to.include({ mode: 'fallback', class: 2 });
      expect(world.events('takeover:decided', 'beta')[0]?.evidence).to.include({ peer: 'down', control: 'auto' });
    });

    it('works in fallback as well: the home primary takes over from the home standby', async () => {
      world = new World();
      await world.settle();
      world.crash('alpha');
      await world.until(() => world.serving.join() === 'beta', 10_000, 'the takeover');
      world.start('alpha');
      await world.until(() => world.calm(), 10_000, 'a calm pair');
      world.crash('beta');
      await world.until(() => world.serving.join() === 'alpha', 10_000, 'the takeover');
      expect(world.alpha.orchestrator.status()).to.include({ mode: 'normal', epoch: 3 });
    });

    it('takeover.auto: manual blocks it, and says so', async () => {
      world = new World();
      await world.settle();
      await world.outcome(world.beta.orchestrator.setControl('manual'));
      world.crash('alpha');
      await world.run(5_000);
      expect(world.serving).to.deep.equal([]);
      expect(world.beta.orchestrator.status().blockedBy.map(({ rule }) => rule)).to.deep.equal(['takeover.auto']);
      expect(world.events('takeover:blocked', 'beta')).to.have.length(1);
      expect(await world.outcome(world.beta.orchestrator.fallback())).to.equal(null);
      expect(world.serving).to.deep.equal(['beta']);
    });

    it('takeover.auto: the monitor is paused while a resync runs towards this node', async () => {
      world = new World();
      world.start('alpha');
      world.start('beta');
      await world.until(
        () => world.beta.mirror.state().resync !== null && world.alpha.orchestrator.status().epoch === 1,
        5_000,
        'a resync',
      );
      world.crash('beta');
      world.start('beta');
      await world.until(() => world.serving.join() === 'alpha', 10_000, 'alpha serving');
      await world.until(() => world.calm(), 10_000, 'a calm pair');
      expect([...world.beta.monitor.paused]).to.deep.equal([]);
      world.crash('beta');
      await world.until(() => world.alpha.mirror.completes(), 5_000, 'alpha alone');
      world.start('beta');
      await world.until(() => world.beta.mirror.state().resync !== null, 5_000, 'a resync');
      await world.run(5);
      expect([...world.beta.monitor.paused]).to.have.length(1);
      await world.until(() => world.calm(), 5_000, 'a calm pair');
      await world.run(5);
      expect([...world.beta.monitor.paused]).to.deep.equal([]);
    });

    it('takeover.uptodate: element.start, a token after the loss of the data link makes the element doubtful and bars it', async () => {
      world = new World({ policy: { whenAlone: 'freeze' } });
      await world.settle();
      world.cutData();
      await world.run(300);
      expect(world.beta.mirror.state().element).to.be.oneOf(['consistent', 'outdated']);
      world.network.whole = false;
      world.crash('alpha');
      await world.run(5_000);
      expect(world.serving).to.deep.equal([]);
      expect(world.beta.orchestrator.status().blockedBy.map(({ rule }) => rule)).to.deep.equal(['takeover.uptodate']);
    });

    it('element.start: a token that the peer sent after the loss makes the element doubtful even where no outdating came through', async () => {
      world = new World();
      await world.settle();
      world.beta.monitor.answer = () => Promise.reject(new HotMirrorError('HM_CLOSED', 'deaf'));
      world.cutData();
      await world.run(300);
      expect(world.beta.mirror.state().element).to.equal('consistent');
      expect(world.alpha.completes()).to.equal(false);
    });

    it('element.start: a node that stood still longer than the deadline doubts its own elements until their connection has proved itself', async () => {
      world = new World();
      await world.settle();
      await world.run(2_000);
      const doubted = (): readonly string[] => world.beta.orchestrator.snapshot().doubted;
      // Late by this much, it stood still for less than a deadline in any case.
      world.beta.monitor.oversleep(500);
      expect(doubted()).to.deep.equal([]);
      world.beta.monitor.oversleep(1_100);
      expect(doubted()).to.deep.equal(['m0']);
      await world.run(10);
      expect(doubted()).to.deep.equal([]);
      expect(world.beta.mirror.state().element).to.equal('uptodate');
      // The connection turns out to be dead: what happened meanwhile is unknown here.
      world.beta.monitor.oversleep(1_100);
      world.crash('alpha');
      await world.run(3_000);
      expect(world.beta.mirror.state().element).to.equal('consistent');
      expect(world.beta.orchestrator.status().blockedBy[0]?.rule).to.equal('takeover.uptodate');
    });

    it('element.start: what settles an earlier doubt does not settle one of a later pause', async () => {
      world = new World();
      await world.settle();
      await world.run(2_000);
      const doubted = (): readonly string[] => world.beta.orchestrator.snapshot().doubted;
      world.beta.monitor.oversleep(1_100);
      await world.clock.runFor(0.5);
      world.beta.monitor.oversleep(1_100);
      // The order of the first doubt takes a millisecond, as that of the second.
      await world.clock.runFor(0.7);
      expect(doubted()).to.deep.equal(['m0']);
      await world.clock.runFor(0.5);
      expect(doubted()).to.deep.equal([]);
    });

    it('takeover.fence: a fence that fails blocks, and the intent and the seal are taken back', async () => {
      world = new World({ fence: true });
      await world.settle();
      world.beta.platform.script('fence', 'fail', 'fail', 'fail');
      world.crash('alpha');
      await world.until(() => world.events('takeover:blocked', 'beta').length > 0, 10_000, 'a blocked takeover');
      expect(world.events('takeover:blocked', 'beta')[0]?.blockedBy[0]?.rule).to.equal('takeover.fence');
      expect(world.beta.orchestrator.snapshot().record.intent).to.equal(null);
      expect(world.beta.mirror.calls).to.include('unseal');
      await world.until(() => world.serving.join() === 'beta', 10_000, 'the next attempt');
    });

    it('takeover.commit: a living peer heard before the commit aborts it; the grant goes back and the pair is as before', async () => {
      world = new World({ arbiter: true, fence: true });
      await world.settle();
      world.beta.platform.script('fence', 'hang');
      world.partition();
      await world.until(() => world.beta.platform.steps.includes('fence'), 5_000, 'the fence');
      expect((await world.arbiter?.current(new AbortController().signal))?.owner).to.equal('beta');
      const status = world.beta.orchestrator.report() as { record: { intent: Json } };
      expect(status.record.intent).to.deep.equal({ number: 2, owner: 'beta' });
      world.heal();
      await world.until(() => world.calm() && world.beta.orchestrator.snapshot().record.intent === null, 5_000, 'a calm pair');
      expect(world.events('takeover:aborted', 'beta')[0]?.rule).to.equal('takeover.dead');
      expect(await world.arbiter?.current(new AbortController().signal)).to.deep.equal({ number: 1, owner: 'alpha' });
      expect(world.serving).to.deep.equal(['alpha']);
      expect(world.alpha.completes()).to.equal(true);
    });

    it('watch.live: manual aborts an automatic takeover up to the commit', async () => {
      world = new World({ fence: true });
      await world.settle();
      world.beta.platform.script('fence', 'hang');
      world.crash('alpha');
      await world.until(() => world.beta.platform.steps.includes('fence'), 5_000, 'the fence');
      await world.outcome(world.beta.orchestrator.setControl('manual'));
      await world.run(3_000);
      expect(world.serving).to.deep.equal([]);
      expect(world.events('takeover:aborted', 'beta')[0]?.rule).to.equal('takeover.auto');
      expect(world.beta.orchestrator.snapshot().record.intent).to.equal(null);
    });

    it('node.leave: a peer that was stopped cleanly is never taken over automatically, only by an operator', async () => {
      world = new World();
      await world.settle();
      await world.stop('alpha');
      await world.run(5_000);
      expect(world.serving).to.deep.equal([]);
      expect(world.beta.orchestrator.status().blockedBy[0]?.rule).to.equal('node.leave');
      expect(await world.outcome(world.beta.orchestrator.fallback())).to.equal(null);
      expect(world.serving).to.deep.equal(['beta']);
    });

    it('refuses an operator’s fallback where the peer’s death is not known, unless forced', async () => {
      world = new World();
      await world.settle();
      world.crash('alpha');
      world.crash('beta');
      world.start('beta');
      await world.run(3_000);
      const error = await world.outcome(world.beta.orchestrator.fallback());
      expect(refused(error)).to.equal('HM_REFUSED takeover.dead');
      expect((error as HotMirrorError).details)
        .to.have.property('blockedBy')
        .with.length(2);
      expect(await world.outcome(world.beta.orchestrator.fallback({ force: true, reason: 'alpha burnt down' }))).to.equal(null);
      expect(world.beta.completes()).to.equal(true);
    });

    it('arbiter.cas: with a person as the arbiter a takeover waits for the approval, hand-overs need none', async () => {
      const arbiter = new OperatorArbiter();
      world = new World({ otherArbiter: arbiter, policy: { whenAlone: 'arbiter' } });
      await world.settle();
      expect(await world.outcome(world.alpha.orchestrator.switchover())).to.equal(null);
      await world.until(() => world.calm(), 5_000, 'a calm pair');
      world.crash('beta');
      await world.run(60_000);
      const [block] = world.alpha.orchestrator.status().blockedBy;
      expect(block?.rule).to.equal('takeover.arbiter');
      // Asked again ever less often.
      expect(world.events('takeover:decided', 'alpha').length).to.be.within(3, 10);
      arbiter.approve({ number: 3, owner: 'alpha' });
      await world.until(() => world.serving.join() === 'alpha', 31_000, 'the takeover');
    }).timeout(10_000);

    it('force lifts neither takeover.arbiter nor takeover.fence: they need their own words', async () => {
      world = new World({ arbiter: true, fence: true });
      await world.settle();
      world.crash('alpha');
      if (world.arbiter) world.arbiter.reachable = false;
      world.beta.platform.script('fence', ...Array<'fail'>(20).fill('fail'));
      await world.outcome(world.beta.orchestrator.setControl('manual'));
      await world.run(2_000);
      expect(refused(await world.outcome(world.beta.orchestrator.fallback({ force: true })))).to.equal('HM_REFUSED takeover.arbiter');
      const withoutArbiter = world.beta.orchestrator.fallback({ force: true, overrides: ['takeover.arbiter'] });
      expect(refused(await world.outcome(withoutArbiter))).to.equal('HM_REFUSED takeover.fence');
      const both = world.beta.orchestrator.fallback({ force: true, overrides: ['takeover.arbiter', 'takeover.fence'] });
      expect(await world.outcome(both)).to.equal(null);
      expect(world.serving).to.deep.equal(['beta']);
    });

    it('names what is no rule as a mistake of the caller', async () => {
      world = new World();
      await world.settle();
      expect(await world.outcome(world.beta.orchestrator.fallback({ overrides: ['takeover.luck'] }))).to.be.instanceOf(RangeError);
    });
  });
});
