import { expect } from 'chai';

import { OperatorArbiter } from '../../src/arbiter/operator.ts';
import { HotMirrorError } from '../../src/errors.ts';
import type { Json } from '../../src/failover/ports.ts';
import { World } from './support/world.ts';

const refused = (error: unknown): string => {
  const { code, rule } = error as HotMirrorError;
  return `${code} ${rule ?? ''}`;
};

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
      expect(world.alpha.platform.steps).to.deep.equal(['notify', 'attach', 'fsck', 'mount', 'startServices', 'enableLogins', 'notify']);
      expect(world.beta.platform.steps).to.deep.equal([]);
    });

    it('boot.norecord: a node without a record never serves without its peer, whatever the policy', async () => {
      world = new World({ policy: { bootAlone: 'serve' } });
      world.start('alpha');
      await world.run(10_000);
      expect(world.serving).to.deep.equal([]);
      expect(world.alpha.orchestrator.status().blockedBy[0]?.rule).to.equal('boot.norecord');
      expect(world.alpha.writes).to.equal(0);
    });

    it('boot.equal: after both restart, in any order, the owner serves again in its epoch', async () => {
      world = new World();
      await world.settle();
      world.crash('alpha');
      world.crash('beta');
      world.start('beta');
      await world.run(3_000);
      world.start('alpha');
      await world.until(() => world.serving.join() === 'alpha' && world.calm(), 10_000, 'alpha serving');
      expect(world.alpha.orchestrator.status().epoch).to.equal(1);
    });

    it('boot.alone: the last owner waits for its peer, or for an operator who lets it serve in a raised epoch', async () => {
      world = new World();
      await world.settle();
      world.crash('beta');
      world.crash('alpha');
      world.start('alpha');
      await world.run(5_000);
      expect(world.alpha.orchestrator.status()).to.deep.include({ serving: false, booting: true });
      expect(world.alpha.orchestrator.status().blockedBy[0]?.rule).to.equal('boot.alone');
      expect(await world.outcome(world.alpha.orchestrator.resume({ reason: 'beta is broken' }))).to.equal(null);
      expect(world.alpha.orchestrator.status()).to.include({ serving: true, epoch: 2 });
      expect(world.alpha.completes()).to.equal(true);
    });

    it('boot.alone: the policy lets the last owner serve, and never the other node', async () => {
      world = new World({ policy: { bootAlone: 'serve' } });
      await world.settle();
      world.crash('beta');
      world.crash('alpha');
      world.start('beta');
      await world.run(5_000);
      expect(world.serving).to.deep.equal([]);
      world.crash('beta');
      world.start('alpha');
      await world.until(() => world.serving.join() === 'alpha', 5_000, 'alpha serving');
      expect(world.alpha.orchestrator.status().epoch).to.equal(2);
    });

    it('boot.higher: an old owner that comes back becomes passive and stops what it left running', async () => {
      world = new World();
      await world.settle();
      world.crash('alpha');
      await world.until(() => world.serving.join() === 'beta', 10_000, 'the takeover');
      world.start('alpha');
      await world.until(() => world.calm(), 10_000, 'a calm pair');
      expect(world.serving).to.deep.equal(['beta']);
      expect(world.alpha.orchestrator.status()).to.include({ mode: 'fallback', serving: false, epoch: 2, owner: 'beta' });
      expect(world.alpha.platform.steps.slice(-4)).to.deep.equal(['stopServices', 'disableLogins', 'unmount', 'detach']);
    });

    it('keeps an operator’s manual across crashes of both nodes', async () => {
      world = new World();
      await world.settle();
      expect(await world.outcome(world.alpha.orchestrator.setControl('manual'))).to.equal(null);
      expect(world.beta.orchestrator.status().control).to.equal('manual');
      world.crash('alpha');
      world.crash('beta');
      world.start('beta');
      await world.run(10);
      expect(world.beta.orchestrator.status().control).to.equal('manual');
    });
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

  describe('steps', () => {
    it('a step that fails for good stops the sequence there, enables nothing above it and tells the administrators; the command mends it', async () => {
      world = new World();
      await world.settle();
      world.beta.platform.script('mount', 'fail', 'fail', 'fail');
      world.crash('alpha');
      await world.until(() => world.events('step:failed', 'beta').length > 0, 20_000, 'a failed step');
      await world.run(50);
      expect(world.events('step:failed', 'beta')[0]).to.include({ step: 'mount', class: 3, attempt: 3 });
      expect(world.beta.platform.steps).to.deep.equal(['notify', 'attach', 'fsck', 'mount', 'mount', 'mount', 'notify']);
      expect(world.beta.orchestrator.status()).to.include({ serving: true, service: 'failed' });
      expect(world.beta.orchestrator.snapshot().record.journal).to.deep.include({
        state: 'failed',
        running: 'mount',
        done: ['notify', 'attach', 'fsck'],
      });
      expect(await world.outcome(world.beta.orchestrator.fallback())).to.equal(null);
      expect(world.beta.platform.steps.slice(7)).to.deep.equal(['mount', 'startServices', 'enableLogins', 'notify']);
    });

    it('a step that hangs is given up after its deadline, probed and run again', async () => {
      world = new World();
      await world.settle();
      world.beta.platform.script('mount', 'hang');
      world.crash('alpha');
      await world.until(() => world.beta.orchestrator.status().service === 'running', 20_000, 'the service');
      expect(world.beta.platform.steps.filter((step) => step === 'mount')).to.have.length(2);
    });

    it('a step that took effect though it failed is found in effect by its probe and not run again', async () => {
      world = new World();
      await world.settle();
      world.beta.platform.script('mount', 'fail-in-effect');
      world.crash('alpha');
      await world.until(() => world.beta.orchestrator.status().service === 'running', 20_000, 'the service');
      expect(world.beta.platform.steps.filter((step) => step === 'mount')).to.have.length(1);
    });

    it('goes on after a crash of its process where it was, by what the probes find', async () => {
      world = new World({ policy: { bootAlone: 'serve' } });
      await world.settle();
      world.beta.platform.script('startServices', 'hang');
      world.crash('alpha');
      await world.until(() => world.beta.platform.steps.includes('startServices'), 20_000, 'the services');
      world.kill('beta');
      const before = world.beta.platform.steps.length;
      world.start('beta');
      await world.until(() => world.beta.orchestrator.status().service === 'running', 20_000, 'the service');
      // Attached and mounted still; a mounted file system is not checked again.
      expect(world.beta.platform.steps.slice(before)).to.deep.equal(['notify', 'startServices', 'enableLogins', 'notify']);
    });

    it('a node that lost the service while its process was down stops what is still up', async () => {
      world = new World();
      await world.settle();
      world.kill('alpha');
      await world.until(() => world.serving.join() === 'beta', 10_000, 'the takeover');
      expect(world.alpha.platform.isInEffect('startServices')).to.equal(true);
      world.start('alpha');
      await world.until(() => world.alpha.platform.isInEffect('detach'), 5_000, 'the stop');
      expect(world.alpha.platform.isInEffect('startServices')).to.equal(false);
      await world.until(() => world.calm(), 5_000, 'a calm pair');
    });

    it('a message that cannot be delivered does not keep the service down', async () => {
      world = new World();
      await world.settle();
      world.beta.platform.script('notify', 'fail', 'fail', 'fail');
      world.crash('alpha');
      await world.until(() => world.beta.orchestrator.status().service === 'running', 20_000, 'the service');
    });
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

  describe('epochs of others', () => {
    it('lineage.epoch: a node that hears a higher epoch stops serving at once and stops its services', async () => {
      world = new World({ policy: { whenAlone: 'freeze' } });
      await world.settle();
      world.partition();
      await world.run(3_000);
      expect(await world.outcome(world.beta.orchestrator.fallback({ force: true }))).to.equal(null);
      expect(world.beta.completes()).to.equal(true);
      expect(world.alpha.completes()).to.equal(false);
      world.network.whole = true;
      await world.until(() => world.events('service:stopped', 'alpha').length > 0, 1_000, 'alpha passive');
      expect(world.alpha.orchestrator.status().serving).to.equal(false);
      expect(world.events('service:stopped', 'alpha')[0]).to.include({ rule: 'lineage.epoch', class: 2 });
      world.mendData();
      await world.until(() => world.calm(), 10_000, 'a calm pair');
      expect(world.alpha.orchestrator.status()).to.include({ service: 'stopped', owner: 'beta' });
      expect(world.alpha.platform.steps.slice(-4)).to.deep.equal(['stopServices', 'disableLogins', 'unmount', 'detach']);
    });

    it('boot.conflict: after a full partition with whenAlone continue neither serves until an operator names the survivor', async () => {
      world = new World();
      await world.settle();
      expect(world.beta.orchestrator.status().warnings.map(({ rule }) => rule)).to.deep.equal(['takeover.unfenced']);
      world.partition();
      await world.run(5_000);
      // What the documentation says of this configuration.
      expect(world.violations).to.not.deep.equal([]);
      world.network.whole = true;
      await world.until(() => world.machines.every((machine) => !machine.completes()), 200, 'nobody serving');
      world.forgive();
      await world.run(1_000);
      for (const machine of world.machines) {
        expect(machine.orchestrator.status()).to.include({ serving: false, service: 'stopped' });
        expect(machine.orchestrator.status().blockedBy[0]?.rule).to.equal('boot.conflict');
      }
      expect(world.events('split:detected', 'alpha')).to.have.length(1);
      expect(world.events('split:detected', 'beta')[0]).to.include({ class: 3 });
      // It outlives a restart, and the policy to boot alone.
      world.crash('beta');
      world.crash('alpha');
      world.start('alpha', { bootAlone: 'serve' });
      await world.run(5_000);
      expect(world.serving).to.deep.equal([]);
      world.start('beta');
      world.mendData();
      await world.run(1_000);
      expect(world.beta.mirror.state().split).not.to.equal(null);
      // The operator chooses alpha: the record is beta's no more, and its element gives way.
      expect(await world.outcome(world.beta.orchestrator.resolve({ survivor: 'alpha' }))).to.equal(null);
      await world.until(() => world.serving.join() === 'alpha' && world.calm(), 10_000, 'alpha serving');
      expect(world.beta.orchestrator.status()).to.include({ epoch: 3, owner: 'alpha' });
    });

    it('lineage.resolve: the survivor is told before the other gives way, and its refusal leaves both as they are', async () => {
      world = new World();
      await world.settle();
      world.partition();
      await world.run(5_000);
      world.network.whole = true;
      world.mendData();
      await world.until(() => world.machines.every((machine) => machine.mirror.state().split !== null), 5_000, 'the split');
      world.forgive();
      await world.run(1_000);
      world.alpha.mirror.failures.set('resolve', new HotMirrorError('HM_REFUSED', 'inconsistent', { rule: 'lineage.source' }));
      const asked = (name: 'alpha' | 'beta'): readonly string[] => world[name].mirror.calls.filter((call) => call.startsWith('resolve'));
      expect(refused(await world.outcome(world.beta.orchestrator.resolve({ survivor: 'alpha', mirror: 'm0' })))).to.equal(
        'HM_REFUSED lineage.source',
      );
      expect([asked('alpha'), asked('beta')]).to.deep.equal([['resolve alpha'], []]);
      expect(await world.outcome(world.beta.orchestrator.resolve({ survivor: 'alpha', mirror: 'm0' }))).to.equal(null);
      expect(asked('beta')).to.deep.equal(['resolve alpha']);
      await world.until(() => world.serving.join() === 'alpha' && world.calm(), 10_000, 'alpha serving');
    });

    it('lineage.resolve: what is not split is refused while the data link is down, and done where it is connected', async () => {
      world = new World();
      await world.settle();
      expect(await world.outcome(world.alpha.orchestrator.resolve({ survivor: 'alpha', mirror: 'm0' }))).to.equal(null);
      world.crash('beta');
      await world.run(200);
      expect(refused(await world.outcome(world.alpha.orchestrator.resolve({ survivor: 'alpha', mirror: 'm0' })))).to.contain('HM_');
      expect(() => world.alpha.orchestrator.status()).not.to.throw();
    });

    it('serve.lease: answers renew it, except those that show a higher epoch or an intent', async () => {
      world = new World();
      await world.settle();
      const renewals = (): number => world.alpha.mirror.calls.filter((call) => call === 'renewLease').length;
      const before = renewals();
      await world.run(1_000);
      expect(renewals()).to.be.greaterThan(before + 5);
      const report = world.beta.orchestrator.report() as { record: object };
      world.beta.monitor.report = () => ({ ...report, record: { ...report.record, intent: { number: 2, owner: 'beta' } } });
      await world.run(10);
      const during = renewals();
      await world.run(500);
      expect(renewals()).to.equal(during);
      world.beta.monitor.report = () => 'nonsense';
      await world.run(500);
      expect(renewals()).to.equal(during);
      expect(world.events('order:failed', 'alpha').filter(({ error }) => error.code === 'HM_PROTOCOL')).to.have.length(1);
      world.beta.monitor.report = () => world.beta.orchestrator.report();
      await world.run(200);
      expect(renewals()).to.be.greaterThan(during);
    });
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

  describe('closing', () => {
    it('stops the service, hands nothing over, records nothing, and leaves no timer; methods reject with HM_CLOSED', async () => {
      world = new World();
      await world.settle();
      const writes = world.alpha.writes;
      const events = world.seen.length;
      await world.outcome(world.alpha.orchestrator.close());
      expect(world.alpha.writes).to.equal(writes);
      expect(world.alpha.platform.steps.slice(-4)).to.deep.equal(['stopServices', 'disableLogins', 'unmount', 'detach']);
      expect(world.alpha.mirror.state().serving).to.equal('no');
      expect(world.beta.disks.get('m0')?.element).to.equal('uptodate');
      const after = world.seen.length;
      expect(after).to.be.greaterThan(events);
      expect(refused(await world.outcome(world.alpha.orchestrator.fallback()))).to.equal('HM_CLOSED ');
      await world.outcome(world.alpha.orchestrator.close());
      world.crash('beta');
      for (const machine of world.machines) for (const mirror of machine.mirrors) mirror.crash();
      world.alpha.monitor.crash();
      await world.run(2_000);
      expect(world.seen.filter(({ node }) => node === 'alpha').length).to.equal(
        world.seen.slice(0, after).filter(({ node }) => node === 'alpha').length,
      );
      expect(world.clock.pendingTimers).to.equal(0);
    });

    it('refuses to be used before start, and options that make no sense', () => {
      world = new World();
      expect(() => world.start('alpha', { stepRetries: -1 })).to.throw(RangeError);
      expect(() => world.start('alpha', { whenAlone: 'arbiter' })).to.throw(RangeError);
    });
  });
});
