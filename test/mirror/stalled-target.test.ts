import { expect } from 'chai';

import { AckWatch } from '../../src/mirror/ack-watch.ts';
import type { MirrorProtocol } from '../../src/mirror/options.ts';
import { Endings } from './support/endings.ts';
import { GatedDevice } from './support/gated-device.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4_096;
const ackDeadlineMs = 3_000;

/** A pair in service whose target's element can hang. */
async function pairWithGate(protocol: MirrorProtocol = 'sync'): Promise<{ readonly pair: MirrorPair; readonly gate: GatedDevice }> {
  let gate: GatedDevice | undefined;
  const pair = await new MirrorPair({
    protocol,
    limits: { ackDeadlineMs },
    wrap: (device, what) => (what === 'beta:disk' ? (gate = new GatedDevice(device)) : device),
  }).start();
  return { pair, gate: gate! };
}

describe('A target whose disk hangs without an error (ackDeadlineMs)', () => {
  it('is noticed after the deadline, records that it is old although its element hangs, and the source goes on alone (alone, outdate)', async () => {
    const { pair, gate } = await pairWithGate();
    const endings = new Endings();
    gate.shut();
    pair.mirror('alpha').write(0, pattern(block, 1), {}, endings.next());
    await pair.clock.runFor(ackDeadlineMs - 500);
    expect(pair.mirror('alpha').state().connection).to.equal('connected');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss', 1_000);
    const lost = pair.told.find(({ node, name }) => node === 'alpha' && name === 'link:lost');
    expect(lost?.event.evidence).to.include({ code: 'HM_TARGET_STALLED' });
    // What the orchestrator does by a monitor link, which still answers. Meanwhile both try to connect, and no handshake ends.
    await pair.clock.runFor(4_000);
    const { currentId, connectionId } = pair.mirror('alpha').state();
    const order = { epoch: { number: 1, owner: 'alpha' }, currentId, connectionId, nonce: 'n' };
    await pair.clock.settled(pair.mirror('beta').outdate(order), 1_000, 'the order to be outdated');
    expect(pair.mirror('beta').snapshot().metadata.state).to.equal('outdated');
    await pair.clock.settled(
      pair.mirror('alpha').goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }),
      1_000,
      'going alone',
    );
    await pair.clock.runFor(10);
    expect(endings.codes).to.deep.equal(['done']);
    // It stays away as long as it hangs, and is regenerated afterwards.
    await pair.clock.runFor(20_000);
    expect(pair.mirror('alpha').state().serving).to.equal('alone');
    expect(pair.mirror('alpha').state().handshaking).to.equal(false);
    gate.open();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the regeneration');
    expect(pair.identical).to.equal(true);
  });

  it('is noticed by memsync too, though it goes on to say what it received', async () => {
    const { pair, gate } = await pairWithGate('memsync');
    gate.shut();
    for (let elapsedMs = 0; elapsedMs < ackDeadlineMs + 500; elapsedMs += 500) {
      if (pair.mirror('alpha').state().serving === 'yes') pair.mirror('alpha').write(0, pattern(block, 1), {}, () => undefined);
      await pair.clock.runFor(500);
    }
    const lost = pair.told.find(({ node, name }) => node === 'alpha' && name === 'link:lost');
    expect(lost?.event.evidence).to.include({ code: 'HM_TARGET_STALLED' });
  });

  it('is noticed when it answers no comparison, or never takes over what it was offered', async () => {
    const { pair, gate } = await pairWithGate();
    gate.shut();
    const verify = pair
      .mirror('alpha')
      .verify()
      .catch((error: unknown) => error);
    expect(await pair.clock.settled(verify, 2 * ackDeadlineMs)).to.include({ code: 'HM_CONNECTION_LOST' });
    const stalls = (): number => pair.told.filter(({ event }) => event.evidence?.['code'] === 'HM_TARGET_STALLED').length;
    expect(stalls()).to.equal(1);
    gate.open();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the reconnect');
    pair.link.break();
    gate.shut();
    await pair.until(() => stalls() > 1, 'the stalled adoption', 4 * ackDeadlineMs);
    gate.open();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the reconnect');
  });

  it('takes over no lineage that was offered before its disk hung (lineage.adopt)', async () => {
    const { pair, gate } = await pairWithGate();
    pair.link.break();
    gate.shut();
    // The next connection offers the lineage, for which the target must flush.
    await pair.until(() => pair.mirror('beta').state().role === 'target', 'the new connection');
    await pair.clock.runFor(500);
    pair.link.cut();
    await pair.until(() => pair.mirror('beta').state().role === 'none', 'the loss');
    const { currentId, connectionId } = pair.mirror('beta').state();
    const order = { epoch: { number: 1, owner: 'alpha' }, currentId, connectionId, nonce: 'n' };
    await pair.clock.settled(pair.mirror('beta').outdate(order), 1_000, 'the order to be outdated');
    gate.open();
    await pair.clock.runFor(500);
    expect(pair.mirror('beta').snapshot().metadata.state).to.equal('outdated');
  });

  it('is not taken for stalled while it confirms anything, nor after a pause of the source (watch.pause)', () => {
    const watch = new AckWatch(1_000);
    const waiting = (confirmations: number) => ({ outstanding: true, confirmations });
    expect(watch.look(waiting(0), 0, false)).to.equal(null);
    expect(watch.look(waiting(0), 1_000, false)).to.equal(null);
    expect(watch.look(waiting(1), 1_500, false)).to.equal(null);
    expect(watch.look(waiting(1), 9_000, true)).to.equal(null);
    expect(watch.look(waiting(1), 10_000, false)).to.equal(null);
    expect(watch.look({ outstanding: false, confirmations: 1 }, 20_000, false)).to.equal(null);
    expect(watch.look(waiting(1), 20_500, false)).to.equal(null);
    expect(watch.look(waiting(1), 21_001, false)?.code).to.equal('HM_TARGET_STALLED');
  });
});
