import { expect } from 'chai';

import type { ServingState } from '../../src/mirror/state.ts';
import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import { outcome } from './support/endings.ts';
import { congest, congestible, delayMs, done, soonMs, storedState } from './support/congestible.ts';
import type { Rig } from './support/congestible.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';
import { slowLink } from './support/slow-link.ts';

const handshakeDeadlineMs = 5_000;

/** Alpha asks beta to fall behind, which cannot record that yet; what was sent is applied. */
async function asking(): Promise<Rig> {
  const rig = await congestible();
  rig.gates['beta:metadata']?.shut();
  congest(rig);
  await rig.pair.clock.runFor(delayMs + 5);
  rig.gates['beta:disk']?.open();
  expect(rig.said('alpha')).to.include('ahead');
  expect(rig.said('beta')).not.to.include('behind');
  return rig;
}

const whole = ({ pair }: Rig): Promise<void> => pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the copy');

describe('While the target is asked to fall behind (write.congested)', () => {
  it('nothing is handed over to it, though all is applied: it would be outdated; later it is (handover)', async () => {
    const rig = await asking();
    const { pair, gates, endings } = rig;
    const mirror = pair.mirror('alpha');
    expect(await pair.clock.settled(mirror.demote(), 5_000, 'the handover')).to.deep.equal({ handedOver: false });
    expect(mirror.state().serving).to.equal('yes');
    gates['beta:metadata']?.open();
    await pair.clock.runFor(soonMs);
    await whole(rig);
    expect(endings.codes).to.deep.equal(done(5));
    await pair.clock.runFor(soonMs);
    expect(await pair.clock.settled(mirror.demote(), 5_000, 'the second handover')).to.deep.equal({ handedOver: true });
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
  });

  it('sync is refused, and async stays in force; once the target is back it is granted (write.both)', async () => {
    const rig = await asking();
    const { pair, gates, endings } = rig;
    const mirror = pair.mirror('alpha');
    expect(await pair.clock.settled(outcome(mirror.setProtocol('sync')), 5_000, 'the order')).to.equal('HM_REFUSED write.both');
    expect([mirror.state().protocol, mirror.snapshot().metadata.mayBeAhead]).to.deep.equal(['async', true]);
    gates['beta:metadata']?.open();
    await pair.clock.runFor(soonMs);
    await whole(rig);
    await pair.clock.runFor(soonMs);
    expect(await pair.clock.settled(outcome(mirror.setProtocol('sync')), 5_000, 'the second order')).to.equal('done');
    expect([mirror.snapshot().metadata.mayBeAhead, endings.codes]).to.deep.equal([false, done(5)]);
  });

  it('by an order that came first it is not asked: by sync a full window is waited for, and nothing completes on one element alone (write.both)', async () => {
    const rig = await congestible();
    const { pair, gates, endings, said, write } = rig;
    const mirror = pair.mirror('alpha');
    gates['beta:disk']?.shut();
    for (let at = 0; at < 4; at += 1) write(at);
    const order = outcome(mirror.setProtocol('sync'));
    for (let at = 4; at < 8; at += 1) write(at);
    await pair.clock.runFor(10 * delayMs);
    expect(endings.codes).to.deep.equal([...done(4), null, null, null, null]);
    expect(said('alpha')).not.to.include('ahead');
    gates['beta:disk']?.open();
    expect(await pair.clock.settled(order, 5_000, 'the order')).to.equal('done');
    await pair.clock.runFor(soonMs);
    expect([endings.codes, pair.mirror('beta').state().element, pair.identical]).to.deep.equal([done(8), 'uptodate', true]);
  });
});

describe('Back from ahead (write.congested)', () => {
  /** Alpha is ahead; everything that it serves as, from here on. */
  async function ahead(): Promise<{ readonly rig: Rig; readonly states: ReadonlySet<ServingState> }> {
    const rig = await congestible({ limits: { windowBytes: 4 * 4_096, ackDeadlineMs: 2_000, handshakeDeadlineMs } });
    congest(rig);
    await rig.pair.clock.runFor(soonMs);
    for (let at = 5; at < 10; at += 1) rig.write(at);
    const states = new Set<ServingState>();
    const mirror = rig.pair.mirror('alpha');
    mirror.events.on('state:changed', () => states.add(mirror.state().serving));
    return { rig, states };
  }

  it('the connection is replaced without parking: requests complete meanwhile, and it is in the same epoch afterwards (alone)', async () => {
    const { rig, states } = await ahead();
    const { pair, gates, endings, write } = rig;
    const mirror = pair.mirror('alpha');
    const { epoch, connectionId } = mirror.state();
    gates['beta:disk']?.open();
    await pair.until(() => mirror.state().connection !== 'connected', 'the end of the connection');
    for (let at = 10; at < 14; at += 1) write(at);
    expect(endings.codes).to.deep.equal(done(14));
    await whole(rig);
    await pair.clock.runFor(soonMs);
    expect(mirror.state().connectionId).not.to.equal(connectionId);
    expect([[...states], mirror.state().epoch]).to.deep.equal([['yes'], epoch]);
    expect([storedState(rig, 'beta'), pair.identical]).to.deep.equal(['consistent', true]);
  });

  it('it parks where the next connection does not come within handshakeDeadlineMs, and rule alone decides (serve.fresh)', async () => {
    const { rig, states } = await ahead();
    const { pair, gates, endings, write } = rig;
    const mirror = pair.mirror('alpha');
    gates['beta:disk']?.open();
    await pair.until(() => mirror.state().connection !== 'connected', 'the end of the connection');
    pair.link.cut();
    await pair.clock.runFor(handshakeDeadlineMs - 1);
    expect([...states]).to.deep.equal(['yes']);
    await pair.clock.runFor(1);
    expect(mirror.state().serving).to.equal('parked');
    write(10);
    await pair.clock.runFor(1_000);
    expect(endings.codes).to.deep.equal([...done(10), null]);
    await pair.goAlone('alpha');
    expect(endings.codes).to.deep.equal(done(11));
    pair.link.heal();
    await whole(rig);
    expect(pair.identical).to.equal(true);
  });

  it('a handover asked for meanwhile is given up where the next connection does not come, and rule alone decides (handover)', async () => {
    const { rig } = await ahead();
    const { pair, gates, endings, write } = rig;
    const mirror = pair.mirror('alpha');
    gates['beta:disk']?.open();
    await pair.until(() => mirror.state().connection !== 'connected', 'the end of the connection');
    pair.link.cut();
    await pair.clock.runFor(handshakeDeadlineMs - 1_000);
    write(10);
    expect(mirror.state().serving).to.equal('yes');
    expect(await pair.clock.settled(mirror.demote(), 1_000, 'the handover')).to.deep.equal({ handedOver: false });
    expect([mirror.state().serving, endings.codes]).to.deep.equal(['parked', [...done(10), null]]);
    await pair.goAlone('alpha');
    expect([mirror.state().serving, endings.codes]).to.deep.equal(['alone', done(11)]);
  });

  it('another loss than its own parks at once: rule alone decides (serve.fresh)', async () => {
    const { rig } = await ahead();
    const { pair } = rig;
    pair.link.break();
    await pair.clock.runFor(0);
    expect(pair.mirror('alpha').state().serving).to.equal('parked');
  });

  it('a pair under a load that its link cannot carry goes ahead again and again in one epoch, and nobody decides to go alone (alone)', async () => {
    const pair = await simulatePair({
      mirrors: [{ name: 'm0', sizeBytes: 1_048_576, protocol: 'async', whenCongested: 'pull-ahead', windowBytes: 8_192 }],
      workload: { blocks: 64, pauseMs: 5, depth: 8 },
      links: { delayMs: 30 },
    });
    await pair.runFor(10_000);
    const count = (name: string): number => pair.log.filter(({ event, node }) => event === name && node === 'alpha').length;
    expect(count('ahead:begun')).to.be.above(3);
    expect([count('alone:decided'), pair.node('alpha')?.orchestrator.status().epoch]).to.deep.equal([0, 1]);
  });
});

describe('A resync under a load that keeps the window full (resync.progress)', () => {
  const extent = 65_536;
  const mebibyte = 1_048_576;

  for (const whenCongested of ['block', 'pull-ahead'] as const)
    it(`ends by ${whenCongested}: where the window is larger than what the transport takes, it gets its turn there`, async () => {
      let bytesPerSecond = Infinity;
      const pair: MirrorPair = new MirrorPair({
        ...{ sizeBytes: 16 * mebibyte, protocol: 'async', whenCongested, delayMs: 2 },
        limits: { windowBytes: 4 * mebibyte },
        wrapTransport: (transport, node) =>
          node === 'beta'
            ? transport
            : slowLink(transport, { clock: () => pair.clock, bytesPerSecond: () => bytesPerSecond, highWaterBytes: mebibyte }),
      });
      await pair.start();
      bytesPerSecond = 8 * mebibyte;
      const mirror = pair.mirror('alpha');
      pair.kill('beta');
      await pair.until(() => mirror.state().serving === 'parked', 'the loss');
      await pair.goAlone('alpha');
      for (let at = 0; at < 32; at += 1) await pair.write('alpha', at * extent, pattern(extent, at + 1));
      await pair.open('beta');
      await pair.until(() => mirror.state().connection === 'connected', 'the connection');
      let [loads, written] = [true, 0];
      const load = (at: number): void => {
        mirror.write((128 + (at % 64)) * extent, pattern(extent, at & 255), {}, (error) => {
          written += 1;
          if (loads && !error) pair.clock.timer(0.05, () => load(at + 1));
        });
      };
      for (let at = 0; at < 96; at += 1) load(at);
      await pair.until(() => mirror.state().peerElement === 'uptodate', 'the resync', 20_000);
      expect(written).to.be.above(96);
      loads = false;
      await pair.until(() => mirror.state().dirtyBytes === 0 && mirror.state().peerElement === 'uptodate', 'the last copy', 20_000);
      await pair.clock.runFor(2_000);
      expect(pair.identical).to.equal(true);
    });
});
