import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import type { LoggedEvent, NodeStatus } from '../../src/node/control-protocol.ts';
import { firstDifference } from '../../src/node/demo/demo-image.ts';
import { DemoPair } from '../../src/node/demo/demo-pair.ts';
import type { DemoNode } from '../../src/node/demo/demo-pair.ts';
import { DemoWriter } from '../../src/node/demo/demo-writer.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';

const sizeBytes = 8_388_608;
const deadlineMs = 500;
const suspendedMs = 6 * deadlineMs;
const trafficMs = 500;
const patienceMs = 30_000;
const pollMs = 25;
const writesAtOnce = 4;

/** A process stands still for many deadlines and knows nothing of it afterwards, as a suspended machine or a stalled hypervisor. */
describe('SIGSTOP of a node in the midst of traffic, SIGCONT after many deadlines', function () {
  this.timeout(120_000);
  let pair: DemoPair;
  let writer: DemoWriter;
  let history: LoggedEvent[];

  beforeEach(async () => {
    const random = new SeededRandom(7);
    history = [];
    pair = await DemoPair.create({
      clock: systemClock,
      random,
      sizeBytes,
      intervalMs: 100,
      deadlineMs,
      onEvent: (event) => history.push(event),
    });
    const { roomAtBytes } = pair.image;
    writer = new DemoWriter({
      clock: systemClock,
      random,
      roomAtBytes,
      roomBytes: sizeBytes - roomAtBytes,
      depth: writesAtOnce,
      serving: pair.serving,
    });
    await Promise.all([pair.start('alpha'), pair.start('beta')]);
    await healthy('alpha');
    writer.start();
    await sleep(systemClock, trafficMs);
  });

  afterEach(async function () {
    if (this.currentTest?.isFailed() === true)
      for (const { time, node, event, text } of history.slice(-60)) console.log(`${time} ${node} ${event}: ${text}`);
    await pair.remove();
    await writer.stop();
  });

  it('of the primary: the standby takes over, and the old primary never serves again but is regenerated (watch.pause, serve.lease, lineage.epoch)', async () => {
    pair.pause('alpha');
    const { epoch } = await pair.until('beta', 'the takeover', ({ serving, mode }) => serving && mode === 'fallback', patienceMs);
    await acknowledged();
    await sleep(systemClock, suspendedMs);
    const continuedAt = new Date(systemClock.wallMs()).toISOString();
    pair.resume('alpha');
    await pair.until(
      'alpha',
      'the higher epoch',
      (status) => !status.serving && status.epoch === epoch && status.mode === 'fallback',
      patienceMs,
    );
    await healthy('beta');
    await acknowledged();
    const servedAgain = history.filter(({ node, event, time }) => node === 'alpha' && event === 'service:started' && time > continuedAt);
    expect(servedAgain).to.deep.equal([]);
    await pair.recover();
    await healthy('alpha');
    await settle();
  });

  it('of the standby: the primary goes on alone, and the standby does not take over but is resynced (watch.pause, element.start)', async () => {
    pair.pause('beta');
    await pair.until('alpha', 'the verdict', ({ monitor }) => monitor.peer === 'down', patienceMs);
    await acknowledged();
    await sleep(systemClock, suspendedMs);
    pair.resume('beta');
    await healthy('alpha');
    await acknowledged();
    expect(
      history.filter(({ node, event }) => node === 'beta' && (event === 'service:started' || event === 'takeover:decided')),
    ).to.deep.equal([]);
    await settle();
  });

  for (const node of ['alpha', 'beta'] as const) {
    it(`of ${node}, for less than a deadline: nothing changes hands`, async () => {
      const { epoch } = await pair.until('alpha', 'a status', () => true, patienceMs);
      for (let times = 0; times < 5; times += 1) {
        pair.pause(node);
        await sleep(systemClock, deadlineMs / 4);
        pair.resume(node);
        await acknowledged();
      }
      await healthy('alpha');
      expect((await pair.until('alpha', 'a status', () => true, patienceMs)).mode).to.equal('normal');
      expect(epoch).to.be.greaterThan(0);
      await settle();
    });
  }

  /** `serving` serves, and both elements are the same. */
  async function healthy(serving: DemoNode): Promise<void> {
    const fits =
      (node: DemoNode) =>
      (status: NodeStatus): boolean =>
        status.serving === (node === serving) &&
        status.mirrors.every(({ element, peerElement }) => element === 'uptodate' && peerElement === 'uptodate');
    await Promise.all(
      (['alpha', 'beta'] as const).map((node) => pair.until(node, `${serving} serves a healthy pair`, fits(node), patienceMs)),
    );
  }

  /** Waits for one more acknowledged write. */
  async function acknowledged(): Promise<void> {
    const before = writer.acknowledged;
    const limitMs = systemClock.nowMs() + patienceMs;
    while (writer.acknowledged === before) {
      if (systemClock.nowMs() > limitMs) throw new Error('no write was acknowledged');
      await sleep(systemClock, pollMs);
    }
  }

  /** Ends the traffic, stops both nodes in order, and compares. */
  async function settle(): Promise<void> {
    await writer.stop();
    await pair.stop('beta');
    await pair.stop('alpha');
    expect(await writer.lostIn(pair.element('alpha')), 'acknowledged writes lost').to.equal(0);
    expect(await firstDifference(pair.element('alpha'), pair.element('beta')), 'first difference').to.equal(null);
  }
});
