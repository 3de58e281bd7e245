import { expect } from 'chai';

import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import { MirrorPair, pattern } from '../mirror/support/mirror-pair.ts';
import { GatedFlushes, WriteCache } from './slow-devices.ts';

/** alpha serves alone in epoch 2, after beta's death. */
async function goneAlone(pair: MirrorPair): Promise<void> {
  const alpha = pair.mirror('alpha');
  pair.kill('beta');
  await pair.until(() => alpha.state().serving === 'parked', 'alpha parks');
  const { connectionId } = alpha.state();
  await pair.clock.settled(alpha.goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }), 1_000);
}

describe('a mirror never holds two elements that both count as the newest', () => {
  it('outdate: waits for an adoption under way, and never confirms an element that then is uptodate', async () => {
    const gate = new GatedFlushes();
    const pair = new MirrorPair({ wrap: (device, what) => (what === 'beta:metadata' ? gate.wrap(device) : device) });
    await pair.start();
    await goneAlone(pair);
    await pair.write('alpha', 0, pattern(4096, 1));
    const beta = await pair.open('beta');
    await pair.until(() => beta.state().element === 'inconsistent' && beta.state().connection === 'connected', 'beta is the target');
    gate.close();
    await pair.until(() => gate.held > 0, 'beta is about to adopt');
    expect(pair.mirror('alpha').state().peerBehind).to.equal(false);
    pair.link.cut();
    await pair.clock.runFor(700);

    const { connectionId, currentId } = pair.mirror('alpha').state();
    let outcome = 'pending';
    const order = beta.outdate({ epoch: { number: 2, owner: 'alpha' }, currentId, connectionId, nonce: 'n' }).then(
      () => (outcome = 'confirmed'),
      () => (outcome = 'refused'),
    );
    await pair.clock.runFor(100);
    expect(outcome).to.equal('pending');
    gate.open();
    await pair.clock.settled(order, 1_000);
    await pair.clock.runFor(10);
    expect(outcome).to.be.oneOf(['confirmed', 'refused']);
    if (outcome === 'confirmed') expect(beta.state().element).to.equal('outdated');
  });

  it('alone: an order that judged an older loss is refused when the peer was uptodate again in between', async () => {
    const gate = new GatedFlushes();
    const pair = new MirrorPair({ wrap: (device, what) => (what === 'alpha:metadata' ? gate.wrap(device) : device) });
    await pair.start();
    const alpha = pair.mirror('alpha');
    pair.link.break();
    await pair.until(() => alpha.state().connection !== 'connected', 'the link is lost');
    const before = alpha.state().connectionId;
    await pair.until(() => alpha.state().connectionId !== before, 'the next connection');
    await pair.clock.runFor(0);
    const { serving, connectionId } = alpha.state();
    expect(serving).to.equal('parked');

    gate.close();
    const order = alpha.goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }).then(
      () => 'alone',
      () => 'refused',
    );
    await pair.until(() => alpha.state().peerElement === 'uptodate', 'beta is uptodate again');
    pair.link.cut();
    await pair.until(() => alpha.state().serving === 'parked', 'the link is lost again');
    gate.open();
    expect(await pair.clock.settled(order, 1_000)).to.equal('refused');
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
  });

  it('write.intent: a region that left the log while alone is durable at the source before its target counts as uptodate', async () => {
    const cache = new WriteCache();
    const regionBytes = 4_194_304;
    const pair = new MirrorPair({
      sizeBytes: 4 * regionBytes,
      limits: { activeRegions: 2 },
      wrap: (device, what) => (what === 'alpha:disk' ? cache.wrap(device) : device),
    });
    await pair.start();
    await goneAlone(pair);
    // Acknowledged and not flushed; the third region needs an entry of a log of two.
    for (let region = 0; region < 3; region += 1) await pair.write('alpha', region * regionBytes, pattern(4096, region + 1));
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'beta is regenerated');
    expect(pair.identical).to.equal(true);
    await pair.clock.runFor(60_000);

    pair.kill('alpha');
    cache.lose();
    await pair.open('alpha');
    const uptodate = (): boolean =>
      pair.mirror('alpha').state().element === 'uptodate' && pair.mirror('beta').state().peerElement === 'uptodate';
    await pair.until(uptodate, 'both are uptodate again');
    expect(pair.identical).to.equal(true);
  });

  it('lineage.serving: an owner that crashed and serves alone, with no request yet, takes its peer back', async () => {
    const pair = await new MirrorPair().start();
    await pair.clock.settled(pair.mirror('beta').leave(), 5_000);
    await pair.clock.settled(pair.mirror('beta').close(), 5_000);
    await pair.clock.runFor(100);
    pair.kill('beta');
    pair.kill('alpha');
    await pair.open('alpha');
    await pair.clock.settled(pair.mirror('alpha').promote({ epoch: { number: 2, owner: 'alpha' }, alone: true, force: true }), 1_000);
    await pair.open('beta');
    await pair.clock.runFor(60_000);
    expect(pair.mirror('beta').state().connection).to.equal('connected');
  });
});

describe('a pair never has two owners', function () {
  this.timeout(20_000);

  it('serve.lease: no read is answered after the peer has taken over, however the probes of the two sides drift', async () => {
    const pair = await simulatePair({
      seed: 7,
      policy: { whenAlone: 'freeze' },
      links: { delayMs: 3 },
      times: { intervalMs: 500, deadlineMs: 1000, leaseMs: 750, initialGraceMs: 2000 },
    });
    // The data link alone keeps the lease of alpha alive.
    await pair.cut('mon1');
    await pair.cut('mon2');
    await pair.runFor(3_000);
    const alpha = pair.node('alpha')!.mirrors.get('m0')!;
    let heard = 0;
    alpha.onHeard(() => (heard += 1));
    const pong = async (): Promise<void> => {
      const before = heard;
      await pair.until(() => heard > before, { withinMs: 5_000 });
    };
    // Timers drift apart; a short pause does it at once.
    await pong();
    await pair.runFor(480);
    await pair.pause('alpha');
    await pair.runFor(450);
    await pair.resume('alpha');
    await pair.runFor(2_000);
    await pong();

    await pair.cut('data');
    const beta = pair.node('beta')!.mirrors.get('m0')!;
    let servedMs = 0;
    let overlapMs = 0;
    for (let passedMs = 0; passedMs < 3_000; passedMs += 1) {
      await pair.runFor(1);
      if (beta.state().serving === 'no') continue;
      servedMs += 1;
      alpha.read(0, new Uint8Array(512), (error) => (overlapMs += error ? 0 : 1));
      await pair.runFor(0);
    }
    expect(servedMs, 'beta has taken over').to.be.above(0);
    expect(overlapMs).to.equal(0);
  });

  for (const arbiter of [false, true])
    it(`node.leave: a goodbye does not outlive the return of the peer over the data link (${arbiter ? 'arbiter' : 'freeze'})`, async () => {
      const policy = arbiter ? {} : ({ whenAlone: 'freeze' } as const);
      const pair = await simulatePair({ seed: 7, arbiter, policy, times: { intervalMs: 250, deadlineMs: 1000 }, workload: {} });
      await pair.stop('beta');
      await pair.until(() => pair.node('beta') === null, { withinMs: 10_000 });
      await pair.cut('mon1');
      await pair.cut('mon2');
      await pair.boot('beta');
      await pair.until({ whole: true }, { withinMs: 20_000 });
      await pair.runFor(3_000);

      await pair.perform({ do: 'arbiter', reachable: false, node: 'alpha' });
      await pair.cut('data');
      await pair.runFor(3_600);
      // Whether this is refused does not matter here, only who answers afterwards.
      await pair.perform({ do: 'operator', node: 'beta', order: 'fallback' });
      await pair.runFor(3_000);
      expect(pair.node('alpha')!.mirrors.get('m0')!.state().serving).to.not.equal('alone');
    });
});
