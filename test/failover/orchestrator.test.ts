import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { refused } from './support/refused.ts';
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
